"""Texting oneself: whatever rows Messages leaves, one text is one input and no reply is any."""

from __future__ import annotations

import pytest

from imsgd.simulated.world import Shape
from tests.contract.imsgd.bench import SELF, SELF_CHAT, SELF_MAIL, Bench, until

shapes = pytest.mark.parametrize("shape", list(Shape), ids=lambda shape: f"shape {shape}")


@shapes
async def test_the_meshs_own_reply_is_never_taken_for_a_text(
    self_bench: Bench, shape: Shape
) -> None:
    """AC1"""
    self_bench.world.shape = shape
    await self_bench.start()
    await self_bench.world.text("Begin", sender=SELF)
    await self_bench.hub.heard("Begin")
    item = await self_bench.hub.say(SELF_CHAT, "#1 done · 12 s · $0.10\nAll is well.")
    assert (await self_bench.hub.outcome(item))["outcome"] == "sent"
    await self_bench.world.text("Go on", sender=SELF)
    await self_bench.hub.heard("Go on")
    assert self_bench.hub.texts == ["Begin", "Go on"]


@shapes
async def test_an_echo_that_comes_after_a_crash_is_still_an_echo(
    self_bench: Bench, shape: Shape
) -> None:
    """AC1, restart between send and echo"""
    world = self_bench.world
    world.shape, world.timing.row_s, world.timing.copy_s = shape, 0.5, 1.0
    await self_bench.start()
    item = await self_bench.hub.say(SELF_CHAT, "#7 finished while nobody looked")
    await until(lambda: self_bench.calls)
    await self_bench.kill()
    await self_bench.start()
    await self_bench.hub.offer_again()
    expected = 2 if shape is Shape.PAIR else 1
    await until(lambda: len(world.bubbles) == expected)
    await world.text("A real one", sender=SELF)
    await self_bench.hub.heard("A real one")
    assert self_bench.hub.texts == ["A real one"]
    assert (await self_bench.hub.outcome(item))["outcome"] == "sent"
    assert self_bench.sent_texts == ["#7 finished while nobody looked"]


@shapes
async def test_a_text_to_oneself_is_heard_exactly_once(self_bench: Bench, shape: Shape) -> None:
    """AC2, AC3"""
    self_bench.world.shape = shape
    await self_bench.start()
    await self_bench.world.text("Water the plants", sender=SELF)
    await self_bench.hub.heard("Water the plants")
    await self_bench.world.text("Feed the cat", sender=SELF)
    await self_bench.hub.heard("Feed the cat")
    if shape is Shape.PAIR:
        await self_bench.passed_over(4)
    assert self_bench.hub.texts == ["Water the plants", "Feed the cat"]


async def test_the_same_word_sent_twice_counts_twice(self_bench: Bench) -> None:
    await self_bench.start()
    await self_bench.world.text("yes", sender=SELF)
    await self_bench.world.text("yes", sender=SELF)
    await self_bench.passed_over(4)
    await until(lambda: len(self_bench.hub.texts) == 2)
    assert self_bench.hub.texts == ["yes", "yes"]


async def test_the_shape_may_change_at_any_moment(self_bench: Bench) -> None:
    """AC4"""
    await self_bench.start()
    shapes_of_the_day = [Shape.SENT, Shape.RECEIVED, Shape.PAIR, Shape.SENT, Shape.PAIR_EMPTY]
    for number, shape in enumerate(shapes_of_the_day):
        self_bench.world.shape = shape
        await self_bench.world.text(f"text {number}", sender=SELF)
        await self_bench.hub.heard(f"text {number}")
        item = await self_bench.hub.say(SELF_CHAT, f"#{number} answered")
        assert (await self_bench.hub.outcome(item))["outcome"] == "sent"
    assert self_bench.hub.texts == [f"text {number}" for number in range(5)]


@shapes
async def test_number_and_mail_address_both_reach_the_mesh(self_bench: Bench, shape: Shape) -> None:
    """AC5"""
    self_bench.world.shape = shape
    await self_bench.start()
    for handle, prefix in ((SELF, "any"), (SELF_MAIL, "iMessage"), (SELF_MAIL.upper(), "any")):
        chat = self_bench.world.store.direct_chat(handle, prefix=prefix, participant=False)
        text = f"from {handle} on {prefix}"
        await self_bench.world.text(text, sender=handle, chat=chat)
        [message] = await self_bench.hub.heard(text)
        assert message["chat"] == chat
        item = await self_bench.hub.say(chat, f"#1 answer to {handle} on {prefix}")
        assert (await self_bench.hub.outcome(item))["outcome"] == "sent"
    assert len(self_bench.hub.texts) == 3


@shapes
async def test_a_reaction_to_a_question_is_delivered_once(self_bench: Bench, shape: Shape) -> None:
    """Whichever of its two guids the phone points at."""
    self_bench.world.shape = shape
    await self_bench.start()
    item = await self_bench.hub.say(SELF_CHAT, "#3 may I push to main? K7")
    outcome = await self_bench.hub.outcome(item)
    shown = [bubble.guid for bubble in self_bench.world.bubbles]
    await self_bench.world.tapback(shown[-1], "like", sender=SELF)
    await self_bench.world.text("after", sender=SELF)
    await self_bench.hub.heard("after")
    reactions = [m for m in self_bench.hub.messages.values() if m.get("tapback")]
    assert [(m["tapback"], m["reply_to"]) for m in reactions] == [("like", outcome["guid"])]
