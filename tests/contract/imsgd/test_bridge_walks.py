"""The whole way through the real daemon, and how it begins and ends."""

from __future__ import annotations

import time

from tests.contract.imsgd.bench import OWNER, OWNER_CHAT, Bench, until


async def test_a_text_reaches_the_hub_and_its_answer_the_phone(bench: Bench) -> None:
    await bench.start()
    written = await bench.world.text("Tidy the garden shed")
    [message] = await bench.hub.heard("Tidy the garden shed")
    assert message["guid"] == written.guid
    assert message["chat"] == OWNER_CHAT
    assert message["sender"] == OWNER
    assert message["order"] == written.rowid

    item = await bench.hub.say(OWNER_CHAT, "#1 done: the shed is tidy")
    outcome = await bench.hub.outcome(item)
    assert outcome["outcome"] == "sent"
    assert outcome["claim"] == f"c{item}-1"
    bubble = bench.world.bubbles[-1]
    assert (bubble.direction, bubble.text) == ("out", "#1 done: the shed is tidy")
    assert outcome["guids"] == [bubble.guid]
    assert outcome["order"] == bubble.rowid


async def test_sigterm_ends_the_daemon_within_two_seconds(new_bench: Bench) -> None:
    await new_bench.start()
    began = time.monotonic()
    assert await new_bench.stop() == 0
    assert time.monotonic() - began < 2.0
    assert new_bench.hub.reports[-1]["state"] == "down"


async def test_a_second_daemon_is_refused(new_bench: Bench) -> None:
    await new_bench.start()
    first = new_bench.process
    await new_bench.start(ready=False)
    assert await new_bench.ended() == 75
    assert "already running" in new_bench.events[-1]["error"]
    new_bench.process = first


async def test_without_a_token_it_says_where_to_put_one(new_bench: Bench) -> None:
    del new_bench.env["MESH_TOKEN"]
    await new_bench.start(ready=False)
    assert await new_bench.ended() == 78
    assert "mesh token new --role bridge" in new_bench.events[-1]["error"]


async def test_a_wrong_token_ends_the_daemon_with_the_remedy(new_bench: Bench) -> None:
    new_bench.hub.token = "another"
    await new_bench.start(ready=False)
    assert await new_bench.ended() == 78
    assert "mesh token new --role bridge" in new_bench.events[-1]["error"]


async def test_texts_written_while_the_hub_is_away_arrive_in_order(new_bench: Bench) -> None:
    await new_bench.hub.stop()
    await new_bench.start(ready=False)
    await new_bench.until_reading()
    for text in ("one", "two", "three"):
        await new_bench.world.text(text)
    await new_bench.passed_over(3)
    await new_bench.hub.start()
    await new_bench.hub.heard("three")
    assert new_bench.hub.texts == ["one", "two", "three"]


async def test_an_answer_the_hub_lost_is_repeated_without_a_second_effect(new_bench: Bench) -> None:
    new_bench.hub.drop_replies = 2
    await new_bench.start()
    await new_bench.world.text("only once")
    await until(lambda: len(new_bench.hub.posts) == 3)
    assert new_bench.hub.texts == ["only once"]
