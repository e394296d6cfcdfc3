"""Echo, copy, replay, loop: what is told apart by what happened before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsgd.domain.freshness import CATCH_UP_S, Freshness
from imsgd.domain.fuse import BLOWN_S, LoopFuse
from imsgd.domain.history import (
    ECHO_ANY_COPY_S,
    ECHO_LATE_COPY_S,
    OwnSend,
    PastInput,
    is_replay,
    matching_echo,
    other_half,
    repeats_link,
)
from imsgd.domain.outcome import Attempt, ScriptResult, classify
from imsgd.domain.proof import Fate, Wanted, fate_of, find_rows, has_ghost
from imsgd.domain.rows import Chat, Row, to_apple_ns
from imsgd.domain.words import fingerprint
from imsgd.pace import Pace
from tests.unit.imsgd.test_admission import ALLOW, CHAT, FRIEND, NOW

S = to_apple_ns(1) - to_apple_ns(0)


@pytest.mark.parametrize(
    ("age", "uses", "is_echo"),
    [
        (-4, 0, True),
        (-6, 0, False),
        (2, 0, True),
        (2, 5, True),
        (ECHO_ANY_COPY_S + 1, 0, True),
        (ECHO_ANY_COPY_S + 1, 1, False),
        (ECHO_LATE_COPY_S + 1, 0, False),
    ],
)
def test_an_equal_text_is_an_echo_for_a_while(age: float, uses: int, is_echo: bool) -> None:
    send = OwnSend(1, NOW, uses_from_me=uses)
    assert (matching_echo([send], at=NOW + age, from_me=True) is send) == is_echo


def test_each_direction_is_believed_once_when_it_comes_late() -> None:
    send = OwnSend(1, NOW, uses_from_me=1)
    late = NOW + ECHO_ANY_COPY_S + 1
    assert matching_echo([send], at=late, from_me=True) is None
    assert matching_echo([send], at=late, from_me=False) is send


def test_only_opposite_directions_make_a_pair() -> None:
    date = to_apple_ns(NOW)
    past = [PastInput("A", date, True)]
    assert other_half(past, date=date + 2 * S, from_me=False) == past[0]
    assert other_half(past, date=date + 2 * S, from_me=True) is None
    assert other_half(past, date=date + 4 * S, from_me=False) is None
    near = [replace(past[0], is_next=True)]
    assert other_half(near, date=date + 284 * S, from_me=False) == near[0]
    assert other_half(near, date=date + 284 * S, from_me=True) is None
    assert other_half(near, date=date + 3600 * S, from_me=False) is None
    paired = [PastInput("A", date, True, paired=True)]
    assert other_half(paired, date=date, from_me=False) is None


def test_a_replay_has_the_very_same_date_and_direction() -> None:
    past = [PastInput("A", 5, True)]
    assert is_replay(past, guid="B", date=5, from_me=True)
    assert not is_replay(past, guid="A", date=5, from_me=True)
    assert not is_replay(past, guid="B", date=5, from_me=False)
    assert not is_replay(past, guid="B", date=6, from_me=True)


def test_a_preview_repeats_a_link_of_the_last_ninety_seconds() -> None:
    before = [(NOW, "see https://x.test/a")]
    assert repeats_link(before, at=NOW + 80, text="https://x.test/a")
    assert not repeats_link(before, at=NOW + 100, text="https://x.test/a")
    assert not repeats_link(before, at=NOW + 1, text="https://x.test/b")
    assert repeats_link([(NOW, "see x.test/a")], at=NOW + 1, text="https://www.x.test/a/")


def test_age_is_measured_from_the_last_time_it_listened() -> None:
    fresh = Freshness(born_at=0, listened_at=NOW, late_s=2700)
    assert fresh.floor(NOW + 8 * 3600) == NOW - 2700


def test_messages_of_a_sleep_may_arrive_some_minutes_after_it() -> None:
    fresh = Freshness(born_at=0, listened_at=NOW, late_s=2700)
    awake = NOW + 8 * 3600
    fresh = fresh.after_poll(awake).after_poll(awake + 30)
    assert fresh.floor(awake + 60) == NOW - 2700
    for minute in range(1, 16):
        fresh = fresh.after_poll(awake + 30 + minute * 59)
    assert fresh.floor(fresh.listened_at) == fresh.listened_at - 2700


def test_after_days_away_only_the_last_day_counts() -> None:
    fresh = Freshness(born_at=0, listened_at=NOW, late_s=2700)
    now = NOW + 3 * CATCH_UP_S
    assert fresh.after_poll(now).floor(now) == now - CATCH_UP_S


def test_nothing_from_before_its_birth_counts() -> None:
    assert Freshness(born_at=NOW, listened_at=NOW, late_s=2700).floor(NOW) == NOW - 60


def test_the_fuse_blows_for_a_loop_and_heals() -> None:
    fuse = LoopFuse(limit=3)
    refused = [fuse.refuses("self", now=NOW + second) for second in range(6)]
    assert refused == [False, False, False, True, True, True]
    assert fuse.blown(now=NOW + 10) == ["self"]
    assert fuse.blown(now=NOW + 10 + BLOWN_S) == []
    assert not fuse.refuses("self", now=NOW + 10 + BLOWN_S)


def test_the_fuse_holds_for_a_person() -> None:
    fuse = LoopFuse(limit=3)
    assert not any(fuse.refuses("self", now=NOW + 30 * n) for n in range(50))


@pytest.mark.parametrize(
    ("result", "attempt"),
    [
        (ScriptResult(0, ""), Attempt.HANDED_OVER),
        (ScriptResult(None, "no such file", started=False), Attempt.NOT_STARTED),
        (ScriptResult(-9, "", timed_out=True), Attempt.MAY_HAVE_COMPLETED),
        (ScriptResult(0, "", timed_out=True), Attempt.MAY_HAVE_COMPLETED),
        (ScriptResult(1, "mesh-not-started: nope (-1728)"), Attempt.NOT_STARTED),
        (ScriptResult(1, "0:57: execution error: nope (-1728)"), Attempt.MAY_HAVE_COMPLETED),
        (ScriptResult(1, "Fehler: nicht erlaubt. (-1743)\n"), Attempt.NOT_STARTED),
        (ScriptResult(1, "läuft nicht. (-600)"), Attempt.NOT_STARTED),
        (ScriptResult(1, "AppleEvent timed out. (-1712)"), Attempt.MAY_HAVE_COMPLETED),
        (ScriptResult(1, "(-1743) but then more"), Attempt.MAY_HAVE_COMPLETED),
        (ScriptResult(-15, ""), Attempt.MAY_HAVE_COMPLETED),
    ],
)
def test_an_outcome_claims_no_more_than_it_proves(result: ScriptResult, attempt: Attempt) -> None:
    assert classify(result) is attempt


def _own(rowid: int = 9, **change: object) -> Row:
    values = {"text": "#1 done", "from_me": True, "chats": (CHAT,), "date": to_apple_ns(NOW)}
    return Row(rowid=rowid, guid=f"G{rowid}", **{**values, **change})  # type: ignore[arg-type]


WANTED = Wanted(FRIEND, fingerprint("#1 done"), NOW, rowid_before=5)


@pytest.mark.parametrize(
    "row",
    [
        _own(text="#2 done"),
        _own(from_me=False),
        _own(chats=()),
        _own(chats=(Chat("iMessage;+;x", FRIEND, 43),)),
        _own(chats=(Chat("iMessage;-;+15555550177", "+15555550177", 45),)),
        _own(rowid=5),
        _own(date=to_apple_ns(NOW - 3)),
        _own(associated_type=2000),
        _own(text=None),
    ],
)
def test_a_row_that_is_not_surely_ours_proves_nothing(row: Row) -> None:
    assert find_rows([row], WANTED, ALLOW, set()) == []


def test_equal_replies_are_proven_by_a_row_each() -> None:
    rows = [_own(8), _own(9)]
    assert find_rows(rows, WANTED, ALLOW, set()) == rows[:1]
    assert find_rows(rows, WANTED, ALLOW, {"G8"}) == rows[1:]
    assert find_rows(rows, WANTED, ALLOW, {"G8", "G9"}) == []


@pytest.mark.parametrize(
    "parts",
    [
        ("#1 done: the pull request is open:", "https://example.com/pr/12"),
        ("https://example.com/pr/12", "is #1's pull request"),
        ("👍 see", "https://example.com/a?b=c", "and say so"),
    ],
)
def test_a_reply_stored_as_several_rows_is_proven_by_all_of_them(parts: tuple[str, ...]) -> None:
    """Case `reply_ends_with_link`."""
    wanted = replace(WANTED, fingerprint=fingerprint(" ".join(parts)))
    rows = [_own(8 + n, text=part) for n, part in enumerate(parts)]
    assert find_rows(rows, wanted, ALLOW, set()) == rows
    assert find_rows(rows[:-1], wanted, ALLOW, set()) == []
    assert find_rows(rows[1:], wanted, ALLOW, set()) == []
    assert find_rows(rows, wanted, ALLOW, {rows[0].guid}) == []


@pytest.mark.parametrize(
    ("row", "seen_for_s", "fate"),
    [
        (_own(), 60, Fate.OPEN),
        (_own(sent=True), 1, Fate.OPEN),
        (_own(sent=True), 3, Fate.SENT),
        (_own(sent=True, delivered=True), 0, Fate.SENT),
        (_own(sent=True, delivered=True, error=22), 9, Fate.FAILED),
        (_own(error=22), 0, Fate.FAILED),
        (_own(from_me=False), 0, Fate.SENT),
    ],
)
def test_a_row_tells_its_fate(row: Row, seen_for_s: float, fate: Fate) -> None:
    assert fate_of(row, seen_for_s=seen_for_s) is fate


def test_an_empty_unjoined_row_is_a_ghost() -> None:
    ghost = _own(text=None, chats=())
    assert has_ghost([ghost], since=NOW)
    assert not has_ghost([_own()], since=NOW)
    assert not has_ghost([ghost], since=NOW + 10)


def test_the_pace_lets_so_many_through_in_a_minute() -> None:
    pace = Pace(2)
    for second in (0.0, 10.0):
        assert pace.wait_s("a", now=second) == 0
        pace.took("a", now=second)
    assert pace.wait_s("a", now=20) == 40
    assert pace.wait_s("b", now=20) == 0
    assert pace.wait_s("a", now=61) == 0
