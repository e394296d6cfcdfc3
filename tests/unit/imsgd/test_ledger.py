"""The bridge's own memory: what survives, and what it concludes from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.wire.messages import OutboxItem
from imsgd.domain.admission import Admit, judge
from imsgd.domain.history import Repeat
from imsgd.domain.rows import to_apple_ns
from imsgd.domain.words import fingerprint, pieces
from imsgd.errors import BridgeError
from imsgd.ledger import hearing, speaking
from imsgd.ledger.database import VERSION, connect, in_transaction
from imsgd.ledger.speaking import BubbleState, Intent
from tests.unit.imsgd.test_admission import ALLOW, CHAT, NOW, ROW, SELF_CHAT


@pytest.fixture
def ledger(mesh_home: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(mesh_home / "bridge.db")
    yield connection
    connection.close()


def _self_text(guid: str, *, from_me: bool, text: str = "yes", at: float = NOW) -> Admit:
    row = replace(
        ROW,
        guid=guid,
        from_me=from_me,
        text=text,
        chats=(SELF_CHAT,),
        handle=None,
        date=to_apple_ns(at),
    )
    verdict = judge(row, ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    return verdict


def _decide(ledger: sqlite3.Connection, admitted: Admit) -> str:
    key = hearing.key_of(admitted)
    verdict = hearing.repeat_of(ledger, admitted, key) or hearing.INPUT
    hearing.record(ledger, admitted, verdict, now=NOW, key=key)
    return verdict


def _say(ledger: sqlite3.Connection, text: str, *, conversation: str = "self") -> int:
    offered = OutboxItem(id=1, chat=SELF_CHAT.guid, text=text, claim="c1")
    speaking.accept(ledger, offered, now=NOW)
    item = speaking.next_item(ledger)
    assert item is not None
    intent = Intent(
        item.id, 0, conversation, fingerprint(text), 0, "file", again=False,
        pieces=tuple(map(fingerprint, pieces(text))),
    )  # fmt: skip
    return speaking.intend(ledger, intent, now=NOW)


def test_the_file_is_private_and_keeps_its_version(mesh_home: Path) -> None:
    file = mesh_home / "bridge.db"
    connect(file).close()
    assert file.stat().st_mode & 0o777 == 0o600
    connection = connect(file)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(BridgeError, match="newer version"):
        connect(file)


def test_a_damaged_file_is_named(mesh_home: Path) -> None:
    file = mesh_home / "bridge.db"
    file.write_bytes(b"no database at all" * 100)
    file.chmod(0o600)
    with pytest.raises(BridgeError, match="Move it away"):
        connect(file)


def test_what_fails_leaves_nothing_behind(ledger: sqlite3.Connection) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        speaking.say(connection, CHAT.guid, "half", now=NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_transaction(ledger, fail)
    assert speaking.next_item(ledger) is None


def test_a_pair_is_one_input_and_a_repeated_word_two(ledger: sqlite3.Connection) -> None:
    rows = [
        _self_text("A", from_me=True, at=NOW),
        _self_text("B", from_me=False, at=NOW + 0.1),
        _self_text("C", from_me=True, at=NOW + 1),
        _self_text("D", from_me=False, at=NOW + 1.1),
    ]
    verdicts = [_decide(ledger, row) for row in rows]
    assert [verdict == hearing.INPUT for verdict in verdicts] == [True, False, True, False]


def test_a_pair_minutes_apart_is_one_input_unless_something_was_written_between(
    ledger: sqlite3.Connection,
) -> None:
    """A reported pair: the copy of the other direction was dated 284 s later."""
    numbered = iter(range(100, 200))

    def heard(from_me: bool, text: str, at: float) -> str:
        one = _self_text(f"G{(n := next(numbered))}", from_me=from_me, text=text, at=at)
        return _decide(ledger, replace(one, row=replace(one.row, rowid=n)))

    assert heard(False, "run the tests", NOW) == hearing.INPUT
    assert heard(True, "run the tests", NOW + 284) == Repeat.PAIR
    assert heard(True, "run the tests", NOW + 290) == hearing.INPUT  # a second real text
    assert heard(True, "run the tests", NOW + 295) == hearing.INPUT  # and a third
    assert heard(False, "run the tests", NOW + 300) == Repeat.PAIR
    assert heard(True, "yes", NOW + 400) == hearing.INPUT
    assert heard(True, "now the other one", NOW + 420) == hearing.INPUT
    assert heard(False, "yes", NOW + 440) == hearing.INPUT


SPLIT = "#1 The pull request is open: https://example.com/pr/12"


def test_the_rows_of_a_reply_stored_apart_are_echoes_once(ledger: sqlite3.Connection) -> None:
    bubble_id = _say(ledger, SPLIT)
    parts = ("#1 The pull request is open:", "https://example.com/pr/12")
    for from_me in (True, False):
        for part in parts:
            one = _self_text(f"{part}{from_me}", from_me=from_me, text=part)
            assert _decide(ledger, one) == Repeat.ECHO
    speaking.note_row(ledger, bubble_id, guid="primary", rowid=9, now=NOW)
    assert hearing.primary_guid(ledger, f"{parts[1]}True") == "primary"
    again = _self_text("own", from_me=True, text=parts[1], at=NOW + 30)
    assert _decide(ledger, again) == hearing.INPUT


def test_a_link_sent_after_a_reply_that_was_not_stored_apart_is_the_owners(
    ledger: sqlite3.Connection,
) -> None:
    _say(ledger, SPLIT)
    assert _decide(ledger, _self_text("whole", from_me=True, text=SPLIT)) == Repeat.ECHO
    link = _self_text("link", from_me=True, text="https://example.com/pr/12", at=NOW + 20)
    assert _decide(ledger, replace(link, preview=True)) == Repeat.ECHO
    assert _decide(ledger, replace(link, row=replace(link.row, guid="x"))) == hearing.INPUT


def test_a_replayed_pair_is_no_input(ledger: sqlite3.Connection) -> None:
    _decide(ledger, _self_text("A", from_me=True, at=NOW))
    _decide(ledger, _self_text("B", from_me=False, at=NOW + 1))
    again = [
        _decide(ledger, _self_text("A2", from_me=True, at=NOW)),
        _decide(ledger, _self_text("B2", from_me=False, at=NOW + 1)),
    ]
    assert hearing.INPUT not in again


def test_both_copies_of_an_own_reply_are_echoes_known_by_one_guid(
    ledger: sqlite3.Connection,
) -> None:
    bubble_id = _say(ledger, "#1 done")
    echoes = [_self_text(guid, from_me=guid == "E1", text="#1 done") for guid in ("E1", "E2")]
    assert all(_decide(ledger, echo) != hearing.INPUT for echo in echoes)
    speaking.note_row(ledger, bubble_id, guid="E1", rowid=9, now=NOW)
    assert hearing.primary_guid(ledger, "E2") == "E1"
    assert hearing.primary_guid(ledger, "E1") == "E1"
    assert hearing.primary_guid(ledger, "E3") is None


def test_a_reply_that_never_started_has_no_echo(ledger: sqlite3.Connection) -> None:
    bubble_id = _say(ledger, "#1 done")
    speaking.move(ledger, bubble_id, BubbleState.NOT_STARTED, now=NOW)
    assert _decide(ledger, _self_text("E", from_me=True, text="#1 done")) == hearing.INPUT


def test_a_hub_that_starts_over_is_not_taken_for_the_one_before(
    ledger: sqlite3.Connection,
) -> None:
    first = OutboxItem(id=1, chat=CHAT.guid, text="#1 done", claim="a")
    speaking.accept(ledger, first, now=NOW)
    item = speaking.next_item(ledger)
    assert item is not None
    speaking.finish_item(ledger, item.id, BubbleState.SENT)
    assert speaking.next_item(ledger) is None
    speaking.accept(ledger, replace_claim(first, "b"), now=NOW)
    assert speaking.next_item(ledger) is None
    [(reported, _)] = speaking.unreported(ledger)
    assert reported.claim == "b"
    speaking.accept(ledger, OutboxItem(id=1, chat=CHAT.guid, text="#1 queued", claim="c"), now=NOW)
    fresh = speaking.next_item(ledger)
    assert fresh is not None
    assert fresh.text == "#1 queued"


def replace_claim(item: OutboxItem, claim: str) -> OutboxItem:
    return OutboxItem(id=item.id, chat=item.chat, text=item.text, claim=claim)


def test_a_reply_is_settled_by_its_last_bubble(ledger: sqlite3.Connection) -> None:
    bubble_id = _say(ledger, "#1 done")
    item_id = speaking.bubble(ledger, bubble_id).item_id
    speaking.prove_item(ledger, item_id)
    assert speaking.unreported(ledger) == []
    speaking.move(ledger, bubble_id, BubbleState.SENT, now=NOW)
    assert speaking.revise_item(ledger, item_id)
    assert not speaking.revise_item(ledger, item_id)
    [(item, _)] = speaking.unreported(ledger)
    assert (item.state, item.error, item.text) == ("sent", None, None)
    speaking.mark_reported(ledger, item)
    speaking.move(ledger, bubble_id, BubbleState.FAILED, now=NOW, error="error 22")
    assert speaking.revise_item(ledger, item_id)
    [(item, _)] = speaking.unreported(ledger)
    assert (item.state, item.error) == ("failed", "error 22")


def test_a_first_bubble_that_arrives_after_all_settles_its_reply(
    ledger: sqlite3.Connection,
) -> None:
    """It was given up after a crash, and so was the second one after another."""
    first = speaking.bubble(ledger, _say(ledger, "#1 done"))
    speaking.move(ledger, first.id, BubbleState.LOST, now=NOW)
    intent = Intent(first.item_id, 0, "self", fingerprint("again"), 0, "file", again=True)
    second = speaking.intend(ledger, intent, now=NOW)
    speaking.move(ledger, second, BubbleState.UNKNOWN, now=NOW, error="stopped twice")
    speaking.finish_item(ledger, first.item_id, BubbleState.UNKNOWN, "stopped twice")
    assert first.id in [bubble.id for bubble in speaking.watched(ledger, late_since=NOW - 1)]

    speaking.note_row(ledger, first.id, guid="G", rowid=7, now=NOW)
    speaking.move(ledger, first.id, BubbleState.SENT, now=NOW)
    assert speaking.revise_item(ledger, first.item_id)
    [(item, _)] = speaking.unreported(ledger)
    assert (item.state, item.error, item.maybe_duplicate) == ("sent", None, True)


def test_what_the_hub_was_not_told_of_stands_above_a_later_text(
    ledger: sqlite3.Connection,
) -> None:
    bubble_id = _say(ledger, "#1 may I?")
    assert [b.id for b in speaking.untold_before(ledger, "self", 5)] == [bubble_id]
    assert speaking.untold_before(ledger, "somebody else", 5) == []
    speaking.note_row(ledger, bubble_id, guid="G", rowid=4, now=NOW)
    assert speaking.untold_before(ledger, "self", 4) == []
    assert [b.id for b in speaking.untold_before(ledger, "self", 5)] == [bubble_id]
    item_id = speaking.bubble(ledger, bubble_id).item_id
    speaking.finish_item(ledger, item_id, BubbleState.SENT)
    [(item, _)] = speaking.unreported(ledger)
    speaking.mark_reported(ledger, item)
    assert speaking.untold_before(ledger, "self", 5) == []


def test_a_report_under_way_does_not_cover_a_newer_fate(ledger: sqlite3.Connection) -> None:
    bubble_id = _say(ledger, "#1 done")
    item_id = speaking.bubble(ledger, bubble_id).item_id
    speaking.finish_item(ledger, item_id, BubbleState.UNKNOWN, "no row")
    [(under_way, _)] = speaking.unreported(ledger)
    speaking.finish_item(ledger, item_id, BubbleState.SENT)
    speaking.mark_reported(ledger, under_way)
    [(item, _)] = speaking.unreported(ledger)
    assert item.state == "sent"


def test_old_words_are_forgotten_and_open_ones_kept(ledger: sqlite3.Connection) -> None:
    _decide(ledger, _self_text("A", from_me=True))
    hearing.settle(ledger, "A")
    _decide(ledger, _self_text("B", from_me=True, text="open"))
    hearing.forget_before(ledger, now=NOW + hearing.KEEP_S + 1)
    assert hearing.fate(ledger, "A") is None
    assert hearing.unsettled_guids(ledger) == ["B"]
    _say(ledger, "#1 done")
    speaking.forget_before(ledger, now=NOW + speaking.KEEP_S + 1)
    assert speaking.next_item(ledger) is not None


def test_a_panic_is_noted_once(ledger: sqlite3.Connection) -> None:
    assert hearing.note_panic(ledger, "P", now=NOW)
    assert not hearing.note_panic(ledger, "P", now=NOW)
