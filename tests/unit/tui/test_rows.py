"""Rows say in few characters what is true of a record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from common.wire.nodes import Account, AccountState, Breaker, BreakerState
from common.wire.tasks import Priority, TaskState
from tests.unit.tui.records import AT, NOW, loaded, node, task
from tui.errors import TuiError
from tui.state import words
from tui.state.cells import Column, fit, text_of
from tui.state.filters import parse_filter
from tui.state.measures import age, count, duration, money
from tui.state.nodes import account_cell, breaker_cell, condition, gauge
from tui.state.tasks import SORTS, TaskIndex, task_age, task_row


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7500, "2h05"), (36_000, "10h"),
     (172_800, "2d"), (None, "-")],
)  # fmt: skip
def test_an_age_is_at_most_four_characters_in_the_first_hundred_days(
    seconds: float | None, text: str
) -> None:
    assert age(seconds) == text
    assert len(text) <= 4


def test_durations_money_and_counts_are_short() -> None:
    assert [duration(s) for s in (5, 365, 7500, 200_000)] == ["5s", "6m 05s", "2h 05m", "2d 7h"]
    assert [money(usd) for usd in (None, 0.0, 0.414, 12.3, 1204.2)] == [
        "-", "$0.00", "$0.41", "$12.30", "$1,204",
    ]  # fmt: skip
    assert [count(n) for n in (0, 999, 1000, 12_345, 99_949, 100_000, 4_100_000)] == [
        "0", "999", "1.0k", "12.3k", "99.9k", "100k", "4.1M",
    ]  # fmt: skip


def test_a_gauge_has_a_box_for_each_slot_but_at_most_five() -> None:
    assert text_of(gauge(2, 5)) == "▮▮▯▯▯ 2/5"
    assert text_of(gauge(0, 2)) == "▯▯ 0/2"
    assert text_of(gauge(1, 40)) == "▮▯▯▯▯ 1/40"
    assert text_of(gauge(40, 40)) == "▮▮▮▮▮ 40/40"


def test_every_state_has_its_own_glyph_and_word() -> None:
    for table in (words.TASK, words.BREAKER, words.ACCOUNT):
        looks = list(table.values())  # type: ignore[attr-defined]
        assert len({look.glyph for look in looks}) == len(looks)
        assert len({look.word for look in looks}) == len(looks)
    assert set(words.TASK) == set(TaskState)


def test_a_nodes_condition_is_the_worst_that_is_true() -> None:
    store = loaded(
        nodes=[node("Rex", slots=1, draining=True)],
        tasks=[task(1, TaskState.RUNNING, node="Rex")],
    )
    rex = store.folded.nodes["Rex"]
    assert condition(store, rex, NOW + 26).word == "silent"
    assert condition(store, rex, NOW).word == "draining"
    assert condition(store, node("Rex", slots=1), NOW).word == "full"
    assert condition(store, node("Rex", slots=2), NOW).word == "busy"
    assert condition(store, node("Archon", accepting=False), NOW).word == "declines"
    assert condition(store, node("Archon"), NOW).word == "ready"


def test_a_breaker_shows_the_time_to_its_probe() -> None:
    open_ = Breaker(state=BreakerState.OPEN, fails=3, until=AT + timedelta(seconds=42))
    assert text_of(breaker_cell(node("Rex", breaker=open_), NOW)) == "✗ open 42s"
    assert text_of(breaker_cell(node("Rex", breaker=open_), NOW + 60)) == "✗ open probing"
    assert text_of(breaker_cell(node("Rex", breaker=Breaker(fails=2)), NOW)) == "✓ 2 faults"


def test_a_paused_account_shows_when_it_goes_on() -> None:
    paused = Account(name="w", state=AccountState.PAUSED, paused_until=AT + timedelta(minutes=5))
    store = loaded(accounts=[paused], nodes=[node("Rex", account="w")])
    assert text_of(account_cell(store, store.folded.nodes["Rex"], NOW)) == "‖ 5m w paused"


def test_a_task_row_names_state_place_age_and_cost() -> None:
    running = task(
        7, TaskState.RUNNING, node="Rex", started_at=AT - timedelta(minutes=6), cost_usd=0.4,
        input_tokens=900, output_tokens=200, specialist="researcher", priority=Priority.HIGH,
    )  # fmt: skip
    assert [text_of(each) for each in task_row(running, NOW)] == [
        "#7", "● running", "↑ task 7", "@researcher", "Rex", "6m", "1.1k", "$0.40",
    ]  # fmt: skip


def test_a_queued_task_says_why_it_waits_and_where_it_is_pinned() -> None:
    queued = task(7, node="Rex", pinned_node="Rex", wait_reason="no free slot")
    row = task_row(queued, NOW + 180)
    assert (text_of(row[2]), text_of(row[4])) == ("task 7  no free slot", "→Rex")


def test_the_age_of_a_finished_task_is_how_long_it_ran() -> None:
    done = task(7, TaskState.FAILED, started_at=AT, finished_at=AT + timedelta(minutes=2))
    assert task_age(done, NOW + 9999) == "2m"
    assert task_age(task(8, TaskState.DENIED), NOW) == ""


def test_the_usual_order_is_yours_running_queue_finished() -> None:
    index = TaskIndex()
    index.rebuild(
        [
            task(1, TaskState.SUCCEEDED, finished_at=AT - timedelta(hours=1)),
            task(2, TaskState.FAILED, finished_at=AT),
            task(3, priority=Priority.LOW), task(4), task(5, priority=Priority.HIGH),
            task(6, TaskState.RUNNING), task(7, TaskState.WAITING_APPROVAL),
        ]
    )  # fmt: skip
    assert index.ids() == [7, 6, 5, 4, 3, 2, 1]


def test_every_sort_orders_mixed_tasks() -> None:
    tasks = [task(n, state, node=None if n % 2 else "Rex") for n, state in enumerate(TaskState)]
    for sort in SORTS:
        index = TaskIndex(sort=sort)
        index.rebuild(tasks)
        assert sorted(index.ids()) == list(range(len(tasks)))


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", [1, 2, 3]), ("state:running", [2]), ("state:run,que", [1, 2]), ("node:re", [2]),
     ("@res", [3]), ("#3", [3]), ("is:finished", [3]), ("TASK 1", [1]), ("cost:$1", [3]),
     ("from:imes", [3]), ("node:", [1, 2, 3]), ("in:shop", [1]), ("a:b", [])],
)  # fmt: skip
def test_a_filter_line_chooses_tasks(text: str, ids: list[int]) -> None:
    tasks = [
        task(1, project="shop"), task(2, TaskState.RUNNING, node="Rex"),
        task(3, TaskState.SUCCEEDED, specialist="researcher", cost_usd=1.2, source="imessage"),
    ]  # fmt: skip
    chosen = parse_filter(text)
    assert [each.id for each in tasks if chosen.passes(each)] == ids


@pytest.mark.parametrize("text", ["state:zzz", "state:,", "cost:much"])
def test_a_filter_that_cannot_be_is_explained(text: str) -> None:
    with pytest.raises(TuiError):
        parse_filter(text)


def test_columns_share_what_is_left_and_hide_when_narrow() -> None:
    columns = (Column("a", 3), Column("b", 0, flex=1), Column("c", 4, from_width=20))
    assert fit(columns, 30) == [(0, 3), (1, 21), (2, 4)]
    assert fit(columns, 19) == [(0, 3), (1, 15)]
