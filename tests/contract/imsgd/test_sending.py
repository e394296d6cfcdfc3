"""Replies: proven by their own row, never sent twice by mistake, never lost in silence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from imsgd.sender import AGAIN_MARK
from imsgd.simulated.modes import Mode
from imsgd.simulated.server import socket_path
from tests.contract.imsgd.bench import (
    OWNER,
    OWNER_CHAT,
    SELF,
    SELF_CHAT,
    Bench,
    bridge_bench,
    rows,
    until,
)


async def test_a_crash_after_osascript_makes_no_second_reply(bench: Bench) -> None:
    """AC13"""
    bench.world.timing.row_s = 1.0
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    await until(lambda: bench.calls)
    await bench.kill()
    await bench.hub.offer_again()
    await bench.start()
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "sent"
    assert not outcome["maybe_duplicate"]
    assert bench.sent_texts == ["#1 done"]


async def test_a_repeat_is_marked_also_when_its_first_try_never_began(bench: Bench) -> None:
    ledger = Path(bench.env["MESH_HOME"]) / "bridge.db"
    bench.world.set_mode(Mode.HANG, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    await until(lambda: bench.calls)
    await bench.kill()
    bench.world.set_mode(Mode.NOT_RUNNING, times=1)
    await bench.hub.offer_again()
    await bench.start()
    unstarted = "SELECT 1 FROM bubbles WHERE again = 1 AND state = 'not_started'"
    await until(lambda: rows(ledger, unstarted), timeout_s=25)
    await bench.kill()
    await bench.hub.offer_again()
    await bench.start()
    await bench.hub.outcome(item, timeout_s=25)
    assert set(bench.sent_texts[1:]) == {f"{AGAIN_MARK}#1 done"}


async def test_after_a_crash_without_a_trace_a_reply_is_sent_again_and_marked(
    bench: Bench,
) -> None:
    """AC13: the one case in which a reply is repeated"""
    bench.world.set_mode(Mode.HANG, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    await until(lambda: bench.calls)
    await bench.kill()
    await bench.hub.offer_again()
    await bench.start()
    outcome = await bench.hub.outcome(item, timeout_s=25)
    assert outcome["outcome"] == "sent"
    assert outcome["maybe_duplicate"]
    assert bench.sent_texts == ["#1 done", f"{AGAIN_MARK}#1 done"]


async def test_the_hub_knows_of_a_question_before_it_gets_the_answer(bench: Bench) -> None:
    """A bare `y` that came first would not be taken for the answer."""
    bench.world.timing.delivered_s = 0.3
    await bench.start()
    known: list[bool] = []
    for number in range(3):
        item = await bench.hub.say(OWNER_CHAT, f"#{number} may I?")
        bench.hub.on_message = lambda _, i=item: known.append(i in bench.hub.outcomes)  # type: ignore[misc]
        await until(lambda n=number: any(f"#{n} " in b.text for b in bench.world.bubbles))  # type: ignore[misc]
        await bench.world.text(f"y {number}", sender=OWNER)
        await bench.hub.heard(f"y {number}")
    assert known == [True, True, True]


async def test_a_reply_reported_before_a_crash_is_only_reported_again(bench: Bench) -> None:
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    first = await bench.hub.outcome(item)
    await bench.kill()
    bench.hub.outbox.append({"id": item, "chat": OWNER_CHAT, "text": "#1 done", "claims": 0})
    await bench.start()
    await bench.hub.until(lambda: len(bench.hub.outcomes[item]) == 2)
    assert bench.hub.outcomes[item][1]["guid"] == first["guid"]
    assert bench.sent_texts == ["#1 done"]


@pytest.mark.parametrize("mode", [Mode.HANG, Mode.HANG_STUBBORN])
async def test_an_osascript_that_hangs_is_ended_and_not_repeated(bench: Bench, mode: Mode) -> None:
    """AC20"""
    bench.world.set_mode(mode, times=1)
    await bench.start()
    hung = await bench.hub.say(OWNER_CHAT, "#1 done")
    later = await bench.hub.say(OWNER_CHAT, "#2 done")
    assert (await bench.hub.outcome(hung, timeout_s=25))["outcome"] == "unknown"
    assert (await bench.hub.outcome(later, timeout_s=25))["outcome"] == "sent"
    assert bench.sent_texts == ["#1 done", "#2 done"]
    assert bench.process is not None
    assert psutil.Process(bench.process.pid).children(recursive=True) == []
    assert left_over(bench.folder) == []


@pytest.mark.parametrize("mode", [Mode.SENT_THEN_HANG, Mode.EVENT_TIMEOUT_SENT, Mode.LATE_ROW])
async def test_a_reply_whose_row_appears_counts_as_sent(bench: Bench, mode: Mode) -> None:
    """AC21"""
    bench.world.set_mode(mode, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    assert (await bench.hub.outcome(item, timeout_s=25))["outcome"] == "sent"
    assert bench.sent_texts == ["#1 done"]


@pytest.mark.parametrize("mode", [Mode.NO_ROW, Mode.EVENT_TIMEOUT])
async def test_a_reply_without_a_row_is_unknown_and_not_repeated(bench: Bench, mode: Mode) -> None:
    bench.world.set_mode(mode, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "unknown"
    assert outcome["error"]
    assert bench.sent_texts == ["#1 done"]


async def test_a_reply_that_fails_after_success_is_reported_as_failed(bench: Bench) -> None:
    """AC22"""
    bench.world.set_mode(Mode.NOT_DELIVERED, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "failed"
    assert "22" in outcome["error"]
    assert bench.sent_texts == ["#1 done"]


async def test_a_failure_that_comes_after_the_report_corrects_it(bench: Bench) -> None:
    """AC22"""
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "sent"
    bench.world.store.update(outcome["guid"], error=22)
    await bench.hub.until(lambda: bench.hub.outcomes[item][-1]["outcome"] == "failed")


async def test_a_chat_messages_does_not_know_is_addressed_by_its_participant_once(
    bench: Bench,
) -> None:
    """AC23"""
    bench.world.set_mode(Mode.NO_CHAT, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    assert (await bench.hub.outcome(item))["outcome"] == "sent"
    assert [call["arguments"][1] for call in bench.calls] == [OWNER_CHAT, OWNER]


async def test_a_self_chat_messages_does_not_know_is_addressed_by_its_participant(
    self_bench: Bench,
) -> None:
    """AC23"""
    self_bench.world.set_mode(Mode.NO_CHAT, times=1)
    await self_bench.start()
    item = await self_bench.hub.say(SELF_CHAT, "#1 done")
    assert (await self_bench.hub.outcome(item))["outcome"] == "sent"
    assert [call["arguments"][1] for call in self_bench.calls] == [SELF_CHAT, SELF]


async def test_a_target_that_does_not_exist_is_a_failure(bench: Bench) -> None:
    """AC23"""
    bench.world.set_mode(Mode.NO_TARGET, times=2)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "failed"
    assert "-1728" in outcome["error"]
    assert len(bench.calls) == 2


async def test_an_empty_ghost_is_neither_proof_nor_input(self_bench: Bench) -> None:
    """AC24"""
    self_bench.world.set_mode(Mode.GHOST, times=1)
    await self_bench.start()
    item = await self_bench.hub.say(SELF_CHAT, "#1 done")
    outcome = await self_bench.hub.outcome(item)
    assert outcome["outcome"] == "failed"
    assert "empty message" in outcome["error"]
    assert self_bench.hub.texts == []


async def test_a_row_without_text_column_is_proof(bench: Bench) -> None:
    """AC25"""
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "sent"
    query = "SELECT text FROM message WHERE guid = ?"
    assert bench.world.store.execute(query, (outcome["guid"],)) == [(None,)]


async def test_a_link_sent_is_one_confirmation_and_no_input(self_bench: Bench) -> None:
    """AC26"""
    self_bench.world.set_mode(Mode.LINK, times=1)
    await self_bench.start()
    item = await self_bench.hub.say(SELF_CHAT, "#1 see https://example.com/report")
    outcome = await self_bench.hub.outcome(item)
    assert outcome["outcome"] == "sent"
    assert len(outcome["guids"]) == 1
    await until(lambda: any(b.kind == "preview" for b in self_bench.world.bubbles))
    await self_bench.world.text("after", sender=SELF)
    await self_bench.hub.heard("after")
    assert self_bench.hub.texts == ["after"]
    assert self_bench.hub.outcomes[item] == [outcome]


async def test_a_long_reply_comes_in_order_with_every_guid(bench: Bench) -> None:
    bench.world.timing.row_s = 0.3
    await bench.start()
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(12))
    item = await bench.hub.say(OWNER_CHAT, text)
    outcome = await bench.hub.outcome(item, timeout_s=30)
    shown = [bubble for bubble in bench.world.bubbles if bubble.direction == "out"]
    assert outcome["guids"] == [bubble.guid for bubble in shown]
    assert [bubble.text for bubble in shown] == bench.sent_texts
    assert "".join(" ".join(bench.sent_texts).split()) == "".join(text.split())


async def test_one_conversations_trouble_holds_up_no_other(
    tmp_path: Path, clean_env: dict[str, str]
) -> None:
    """A reply whose row never comes, and a pace that is used up, concern their own thread."""
    second = "+15555550111"
    async with bridge_bench(
        tmp_path, clean_env, allow=[OWNER, second], verify_s=120.0, max_per_minute=2
    ) as bench:
        bench.world.store.direct_chat(second)
        await bench.start()
        bench.world.set_mode(Mode.NO_ROW, times=1)
        stuck = await bench.hub.say(OWNER_CHAT, "#1 nobody sees this arrive")
        await until(lambda: bench.calls)
        for number in range(3):
            await bench.hub.say(OWNER_CHAT, f"#{number} behind it")
        other = await bench.hub.say(f"iMessage;-;{second}", "#9 another thread")
        assert (await bench.hub.outcome(other))["outcome"] == "sent"
        assert stuck not in bench.hub.outcomes
        assert bench.sent_texts == ["#1 nobody sees this arrive", "#9 another thread"]


async def test_a_reply_that_ends_with_a_link_is_known_by_both_its_rows(bench: Bench) -> None:
    """Case `reply_ends_with_link`."""
    await bench.start()
    bench.world.set_mode(Mode.SPLIT)
    item = await bench.hub.say(OWNER_CHAT, "#1 done: it is open https://example.com/pr/12")
    outcome = await bench.hub.outcome(item)
    words, link = [bubble.guid for bubble in bench.world.bubbles]
    assert (outcome["outcome"], outcome["guid"], outcome["guids"]) == ("sent", words, [words])
    await bench.world.text("and merge it", reply_to=link)
    [message] = await bench.hub.heard("and merge it")
    assert message["reply_to"] == words


async def test_a_reply_to_oneself_stored_as_two_rows_is_no_input(self_bench: Bench) -> None:
    await self_bench.start()
    self_bench.world.set_mode(Mode.SPLIT)
    item = await self_bench.hub.say(SELF_CHAT, "#1 done: it is open https://example.com/pr/12")
    assert (await self_bench.hub.outcome(item))["outcome"] == "sent"
    await until(lambda: len(self_bench.world.bubbles) == 4)
    await self_bench.world.text("after", sender=SELF)
    await self_bench.hub.heard("after")
    assert self_bench.hub.texts == ["after"]


async def test_replies_wait_while_messages_cannot_be_reached(bench: Bench) -> None:
    bench.world.set_mode(Mode.NOT_RUNNING, times=1)
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    assert (await bench.hub.outcome(item))["outcome"] == "sent"
    assert len(bench.calls) == 2
    await bench.hub.until(lambda: bench.hub.reports[-1]["state"] == "ok")


async def test_stopping_lets_osascript_end(bench: Bench) -> None:
    bench.world.timing.row_s = 0.0
    await bench.start()
    items = [await bench.hub.say(OWNER_CHAT, f"#{number} done") for number in range(8)]
    await until(lambda: len(bench.calls) > 2)
    assert await bench.stop() == 0
    await bench.hub.offer_again()
    await bench.start()
    for item in items:
        outcome = await bench.hub.outcome(item, timeout_s=25)
        assert (outcome["outcome"], outcome["maybe_duplicate"]) == ("sent", False)
    assert bench.sent_texts == [f"#{number} done" for number in range(8)]


@pytest.mark.parametrize("mode", [Mode.HANG, Mode.HANG_STUBBORN])
async def test_stopping_does_not_wait_for_an_osascript_that_hangs(
    new_bench: Bench, mode: Mode
) -> None:
    new_bench.world.set_mode(mode, times=1)
    await new_bench.start()
    await new_bench.hub.say(OWNER_CHAT, "#1 done")
    await until(lambda: new_bench.calls)
    async with asyncio.timeout(4):
        assert await new_bench.stop() == 0
    assert left_over(new_bench.folder) == []


def left_over(folder: Path) -> list[list[str]]:
    """Command lines of stand-ins, and of what they started, that are still there."""
    socket = str(socket_path(folder))
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [words for words in lines if socket in words]
