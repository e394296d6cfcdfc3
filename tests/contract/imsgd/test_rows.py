"""Rows that come late, twice, out of order or from the past; files that change under the reader."""

from __future__ import annotations

import plistlib
import time

import pytest

from imsgd.domain.rows import URL_BALLOON, to_apple_ns
from imsgd.simulated.archive import write_body
from imsgd.simulated.schema import Release
from imsgd.simulated.store import NewRow
from tests.contract.imsgd.bench import OWNER, OWNER_CHAT, STRANGER, Bench, until

HOUR = 3600.0


async def test_a_row_that_is_joined_late_is_not_lost(bench: Bench) -> None:
    """AC11"""
    await bench.start()
    store = bench.world.store
    late = store.insert(NewRow("the late one", time.time(), handle=OWNER))
    late_group = store.insert(NewRow("in a group", time.time(), handle=OWNER))
    await bench.world.text("a newer one")
    await bench.hub.heard("a newer one")
    store.join(late_group, store.group_chat("chat9", [OWNER, STRANGER]))
    store.join(late, OWNER_CHAT)
    await bench.hub.heard("the late one")
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["a newer one", "the late one", "after"]


async def test_a_row_waiting_for_its_join_survives_a_restart(bench: Bench) -> None:
    await bench.start()
    store = bench.world.store
    late = store.insert(NewRow("the late one", time.time(), handle=OWNER))
    await bench.world.text("a newer one")
    await bench.hub.heard("a newer one")
    await bench.stop()
    await bench.start()
    store.join(late, OWNER_CHAT)
    await bench.hub.heard("the late one")
    assert bench.hub.texts == ["a newer one", "the late one"]


async def test_what_was_written_while_it_was_down_is_heard_in_order(bench: Bench) -> None:
    """AC12"""
    await bench.start()
    await bench.stop()
    bench.pretend_down_for(600)
    for number in range(3):
        await bench.world.text(f"text {number}", at=time.time() - 600 + number)
    await bench.start()
    await bench.hub.heard("text 2")
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["text 0", "text 1", "text 2", "after"]


async def test_a_text_heard_before_a_crash_is_not_acted_on_twice(bench: Bench) -> None:
    await bench.start()
    await bench.world.text("once")
    await bench.hub.heard("once")
    await bench.kill()
    await bench.start()
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["once", "after"]


async def test_replayed_messages_are_not_acted_on(bench: Bench) -> None:
    """AC14: 500 old rows with new numbers and fresh guids, hours old."""
    await bench.start()
    await bench.world.text("a live one", at=time.time() - 1)
    await bench.hub.heard("a live one")
    store = bench.world.store
    store.execute("BEGIN")
    for number in range(500):
        at = time.time() - 14 * HOUR + number * 90
        store.join(store.insert(NewRow(f"old {number}", at, handle=OWNER)), OWNER_CHAT)
    store.execute("COMMIT")
    await bench.world.text("the next live one")
    await bench.hub.heard("the next live one")
    assert bench.hub.texts == ["a live one", "the next live one"]


async def test_a_recent_message_replayed_under_a_fresh_guid_is_recognised(bench: Bench) -> None:
    """AC14: too young to be told by its age."""
    await bench.start()
    at = time.time() - 30
    await bench.world.text("pay the bill", at=at)
    await bench.hub.heard("pay the bill")
    await bench.world.text("pay the bill", at=at)
    await bench.passed_over(2)
    # Nor does it help the replay if the earlier rows are gone from the file.
    bench.world.store.execute("DELETE FROM message WHERE date > ?", (to_apple_ns(at - 1),))
    await bench.world.text("pay the bill", at=at)
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["pay the bill", "after"]


async def test_a_new_message_with_a_lower_number_is_heard(bench: Bench) -> None:
    """AC15"""
    store = bench.world.store
    store.execute("UPDATE sqlite_sequence SET seq = 627028 WHERE name = 'message'")
    await bench.world.text("the highest", at=time.time() - 5)
    await bench.start()
    low = store.insert(NewRow("a lower one", time.time(), handle=OWNER, rowid=610157))
    store.join(low, OWNER_CHAT)
    await bench.hub.heard("a lower one")
    assert bench.hub.texts == ["a lower one"]


async def test_a_rebuilt_database_is_read_on(bench: Bench) -> None:
    """AC15, AC17: new file, lower numbers, the same messages in it"""
    for number in range(20):
        await bench.world.text(f"before {number}", at=time.time() - 2 * HOUR)
    await bench.start()
    await bench.world.text("heard before")
    await bench.hub.heard("heard before")
    bench.world.store.rebuild(keep=5)
    await bench.world.text("heard after")
    await bench.hub.heard("heard after")
    assert bench.hub.texts == ["heard before", "heard after"]


async def test_a_database_rebuilt_while_it_was_down_is_read_on(bench: Bench) -> None:
    """AC15"""
    for number in range(20):
        await bench.world.text(f"before {number}", at=time.time() - 2 * HOUR)
    await bench.start()
    await bench.world.text("heard before")
    await bench.hub.heard("heard before")
    await bench.stop()
    bench.world.store.rebuild(keep=5)
    await bench.world.text("while it was down")
    await bench.start()
    await bench.hub.heard("while it was down")
    await bench.world.text("heard after")
    await bench.hub.heard("heard after")
    assert bench.hub.texts == ["heard before", "while it was down", "heard after"]


async def test_texts_from_before_the_very_first_start_are_not_passed_over_in_silence(
    new_bench: Bench,
) -> None:
    """Not acted on, and said: in the thread, in the log and as a problem."""
    world, now = new_bench.world, time.time()
    for text, age in (("long ago", 9 * HOUR), ("first", 300), ("second", 70), ("third", 5)):
        await world.text(text, at=now - age)
    await new_bench.start()
    await until(lambda: new_bench.sent_texts)
    assert (
        "your last 3 texts here came before that and were not acted on" in (new_bench.sent_texts[0])
    )
    await new_bench.hub.until(lambda: new_bench.hub.problems == ["texts_not_acted_on"])
    await new_bench.kill()
    await new_bench.start()
    await world.text("after")
    await new_bench.hub.heard("after")
    assert new_bench.hub.texts == ["after"]
    assert len(new_bench.sent_texts) == 1


async def test_a_row_whose_body_or_join_comes_late_holds_up_nothing(new_bench: Bench) -> None:
    """However late within the look-back; see `Session.to_visit` for what is older than 30 s."""
    await new_bench.start()
    store = new_bench.world.store
    joined = store.insert(NewRow("the late join", time.time(), handle=OWNER))
    empty = store.insert(NewRow(None, time.time(), handle=OWNER))
    store.join(empty, OWNER_CHAT)
    await new_bench.world.text("now")
    await new_bench.hub.heard("now")
    store.join(joined, OWNER_CHAT)
    store.update(empty.guid, attributedBody=write_body("the late body"))
    await new_bench.hub.heard("the late join", "the late body")


async def test_the_very_first_start_answers_nothing_that_is_there(bench: Bench) -> None:
    """AC16: 100,000 messages, the last of them seconds old."""
    store = bench.world.store
    now = time.time()
    store.execute("BEGIN")
    handle = store.handle_id(OWNER)
    body = write_body("an old order")
    store.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        " INSERT INTO message (guid, attributedBody, handle_id, service, date, is_from_me)"
        " SELECT 'old-' || i, ?, ?, 'iMessage', ? - (100000 - i) * 1000000000, 0 FROM n",
        (body, handle, to_apple_ns(now - 1)),
    )
    store.execute(
        "INSERT INTO chat_message_join (chat_id, message_id, message_date)"
        " SELECT c.ROWID, m.ROWID, m.date FROM message m, chat c"
        " WHERE c.guid = ? AND m.guid LIKE 'old-%'",
        (OWNER_CHAT,),
    )
    store.execute("COMMIT")
    await bench.start()
    await bench.world.text("a new order")
    await bench.hub.heard("a new order")
    assert bench.hub.texts == ["a new order"]


@pytest.mark.parametrize("change", ["restart", "rebuild"])
async def test_it_goes_on_hearing_when_messages_changes_its_files(
    bench: Bench, change: str
) -> None:
    """AC17"""
    await bench.start()
    for number in range(3):
        getattr(bench.world.store, change)()
        await bench.world.text(f"text {number}")
        await bench.hub.heard(f"text {number}", timeout_s=5)
    assert bench.hub.texts == ["text 0", "text 1", "text 2"]


async def test_an_edited_or_unsent_text_is_not_acted_on_again(bench: Bench) -> None:
    """AC19: the hub is told once of each, and what it concerns."""
    await bench.start()
    edited = await bench.world.text("Order five")
    unsent = await bench.world.text("Order six")
    await bench.hub.heard("Order five", "Order six")
    bench.world.store.update(
        edited.guid,
        attributedBody=None,
        message_summary_info=_edit("Order fifty"),
        date_edited=to_apple_ns(time.time()),
    )
    _unsend(bench, unsent.guid)
    await bench.hub.heard("Order fifty", "")
    await bench.kill()
    await bench.start()
    await bench.world.text("after")
    await bench.hub.heard("after")
    changes = [m for m in bench.hub.messages.values() if m.get("change")]
    assert sorted((m["change"], m["changes"], m["text"]) for m in changes) == [
        ("edited", edited.guid, "Order fifty"),
        ("unsent", unsent.guid, ""),
    ]
    assert [text for text in bench.hub.texts if text.startswith("Order f")] == [
        "Order five",
        "Order fifty",
    ]


async def test_a_change_the_hub_did_not_hear_of_before_a_crash_is_told_after_it(
    bench: Bench,
) -> None:
    await bench.start()
    written = await bench.world.text("Order five")
    await bench.hub.heard("Order five")
    await bench.hub.stop()
    _unsend(bench, written.guid)
    await until(lambda: "input changed" in bench.log_since_start())
    await bench.kill()
    await bench.hub.start()
    await bench.start()
    [message] = await bench.hub.heard("")
    assert (message["change"], message["changes"]) == ("unsent", written.guid)


async def test_a_text_unsent_or_edited_while_the_hub_was_away_counts_as_it_reads(
    bench: Bench,
) -> None:
    """AC19"""
    await bench.hub.stop()
    await bench.start(ready=False)
    await bench.until_reading()
    kept = await bench.world.text("Order five")
    unsent = await bench.world.text("Order six")
    await bench.passed_over(2)
    await until(lambda: time.time() - bench.world.bubbles[-1].at > 1.1)
    bench.world.store.update(
        kept.guid, attributedBody=None, message_summary_info=_edit("Order fifty")
    )
    _unsend(bench, unsent.guid)
    await bench.hub.start()
    await bench.hub.heard("Order fifty")
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["Order fifty", "after"]


async def test_a_link_is_one_input_though_it_leaves_two_rows(bench: Bench) -> None:
    """AC26"""
    await bench.start()
    link = "https://example.com/a/long/page"
    await bench.world.text(f"Summarise {link}")
    await bench.hub.heard(f"Summarise {link}")
    await bench.world.text(link, columns={"balloon_bundle_id": URL_BALLOON})
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == [f"Summarise {link}", "after"]


async def test_a_link_alone_in_a_balloon_is_a_text(bench: Bench) -> None:
    await bench.start()
    link = "https://example.com/only"
    await bench.world.text(link, columns={"balloon_bundle_id": URL_BALLOON})
    await bench.hub.heard(link)


async def test_a_scheduled_text_is_heard_when_its_time_has_come(bench: Bench) -> None:
    if bench.world.store.release < Release.SEQUOIA:
        return  # nothing can be scheduled before macOS 15
    await bench.start()
    await bench.world.text("in a while", at=time.time() + 1.5, columns={"schedule_type": 2})
    await bench.world.text("now")
    await bench.hub.heard("now")
    assert bench.hub.texts == ["now"]
    await bench.hub.heard("in a while")


def _edit(text: str) -> bytes:
    parts = {"0": [{"d": 1.0, "t": write_body("first")}, {"d": 2.0, "t": write_body(text)}]}
    return plistlib.dumps({"ec": parts}, fmt=plistlib.FMT_BINARY)


def _unsend(bench: Bench, guid: str) -> None:
    summary = plistlib.dumps({"rp": [0]}, fmt=plistlib.FMT_BINARY)
    bench.world.store.update(guid, attributedBody=None, message_summary_info=summary, date_edited=1)
