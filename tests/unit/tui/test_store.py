"""The store folds what the hub says, keeps its counts right, and tells the truth about the link."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from common.clock import to_epoch
from common.fold import FoldedState
from common.link import LinkLost, LinkUp
from common.wire.admin import Spend
from common.wire.approvals import ApprovalState
from common.wire.events import Entity, Event, Pulse
from common.wire.tasks import LIVE_STATES, TaskState
from tests.unit.tui.records import AT, NOW, approval, event, loaded, node, snapshot, task
from tui.state.link import LinkState
from tui.state.store import EVERYTHING, Ref, Store
from tui.state.tasks import SORTS, TaskIndex


def _task_change(
    number: int, state: TaskState | None, where: str | None, cost: float
) -> tuple[Entity, str, object]:
    record = None if state is None else task(number, state, node=where, cost_usd=cost)
    return Entity.TASK, str(number), record


_TASKS = st.builds(
    _task_change, st.integers(1, 8), st.one_of(st.none(), st.sampled_from(list(TaskState))),
    st.sampled_from([None, "Archon", "Rex"]), st.floats(0, 9),
)  # fmt: skip
_NODES = st.builds(
    lambda name, slots: (Entity.NODE, name, node(name, slots=slots) if slots else None),
    st.sampled_from(["Archon", "Rex"]), st.integers(0, 5),
)  # fmt: skip
_APPROVALS = st.builds(
    lambda number, state: (Entity.APPROVAL, str(number), approval(number, state)),
    st.integers(1, 4), st.sampled_from(list(ApprovalState)),
)  # fmt: skip
_STREAMS = st.lists(st.one_of(_TASKS, _NODES, _APPROVALS), max_size=40)


def _events(stream: list[tuple[Entity, str, object]]) -> list[Event]:
    return [event(seq, *each) for seq, each in enumerate(stream, start=1)]


@given(before=_STREAMS, after=_STREAMS)
@settings(max_examples=150, deadline=None)
def test_folding_any_stream_from_any_snapshot_gives_the_hubs_own_state(
    before: list[tuple[Entity, str, object]], after: list[tuple[Entity, str, object]]
) -> None:
    hub = FoldedState.of(snapshot())
    for each in _events(before):
        hub.apply(each)
    store = Store.empty()
    begin = snapshot(
        tasks=list(hub.tasks.values()), nodes=list(hub.nodes.values()),
        approvals=list(hub.approvals.values()),
    )  # fmt: skip
    store.take(begin, NOW)
    for each in _events(after):
        hub.apply(each)
        store.take(each, NOW)
    assert store.folded.tasks == hub.tasks
    assert store.folded.nodes == hub.nodes
    assert store.folded.approvals == hub.approvals
    assert +store.counts == Counter(t.state for t in hub.tasks.values())
    assert {n: live for n, live in store.live.items() if live} == _live(hub)
    assert store.pending == {a.id for a in hub.approvals.values() if a.state == "pending"}


def _live(hub: FoldedState) -> dict[str, set[int]]:
    live: dict[str, set[int]] = {}
    for each in hub.tasks.values():
        if each.state in LIVE_STATES and each.node:
            live.setdefault(each.node, set()).add(each.id)
    return live


@given(stream=st.lists(_TASKS, max_size=60), sort=st.sampled_from(list(SORTS)))
@settings(max_examples=150, deadline=None)
def test_an_index_kept_up_equals_one_built_anew(
    stream: list[tuple[Entity, str, object]], sort: str
) -> None:
    state, index = FoldedState.of(snapshot()), TaskIndex(sort=sort)
    for each in _events(stream):
        state.apply(each)
        index.put(int(each.key), state.tasks.get(int(each.key)))
    anew = TaskIndex(sort=sort)
    anew.rebuild(state.tasks.values())
    assert index.ids() == anew.ids()


def test_what_changed_is_told_once() -> None:
    store = loaded()
    assert EVERYTHING in store.drain()
    store.take(event(1, Entity.TASK, "7", task(7)), NOW)
    assert Ref("task", "7") in store.drain()
    assert store.drain() == frozenset()


def test_while_the_link_is_down_the_hubs_time_stands_still() -> None:
    store = loaded()
    assert store.now(NOW + 5) == NOW + 5
    store.take(LinkLost("gone", 3.0), NOW + 6)
    assert store.now(NOW + 600) == NOW
    store.take(LinkUp(), NOW + 601)
    assert store.now(NOW + 601) == NOW + 601


def test_a_link_that_fails_again_keeps_the_time_it_was_first_lost() -> None:
    store = loaded()
    store.take(LinkLost("gone", 1.0), NOW + 6)
    store.take(LinkLost("still gone", 2.0), NOW + 9)
    assert (store.link.since, store.link.retry_at) == (NOW + 6, NOW + 11)


def test_ages_follow_the_hubs_clock_when_this_one_is_wrong() -> None:
    store = Store.empty()
    store.take(snapshot(), NOW - 3600)
    store.take(LinkUp(), NOW - 3600)
    assert store.now(NOW - 3600 + 5) == NOW + 5


def test_after_a_sleep_the_link_is_not_called_live_until_something_is_heard() -> None:
    store = loaded()
    store.tick(NOW + 1)
    store.tick(NOW + 4000)
    assert store.link.state is LinkState.CHECKING
    store.take(Pulse(node="Rex", at=AT + timedelta(seconds=4001)), NOW + 4001)
    assert store.link.state is LinkState.LIVE


def test_a_silent_but_unbroken_link_is_live_again_after_the_silence_limit() -> None:
    store = loaded()
    store.tick(NOW + 1)
    store.tick(NOW + 4000)
    for second in range(1, 22):
        store.tick(NOW + 4000 + second)
    assert store.link.state is LinkState.LIVE


def test_a_new_snapshot_after_a_reset_says_that_lines_are_missing() -> None:
    store = loaded()
    store.take(snapshot(), NOW + 60)
    assert [line.type for line in store.tail] == ["feed.reset"]


def test_the_first_snapshot_tells_of_what_was_before() -> None:
    done = task(3, TaskState.SUCCEEDED, finished_at=AT - timedelta(hours=1))
    store = loaded(tasks=[done, task(4, TaskState.RUNNING, node="Rex")])
    assert [line.subject for line in store.tail] == ["#3", "#4"]


def test_the_spending_rate_starts_anew_with_a_new_day() -> None:
    store = loaded(spend=Spend(day="2026-05-04", cost_usd=5.0))
    store.take(event(1, Entity.SPEND, "d", Spend(day="2026-05-05", cost_usd=0.1), 60), NOW + 60)
    assert list(store.spent) == [(to_epoch(AT) + 60, 0.1)]


def test_a_tasks_question_is_found_only_while_it_waits() -> None:
    asked = task(7, approval_code="K2")
    questions = [approval(1, task_id=7), approval(2, task_id=7), approval(3, task_id=8)]
    store = loaded(tasks=[asked], approvals=questions)
    assert store.question_about(asked) == questions[1]
    assert store.question_about(task(7)) == questions[0]
    denied = approval(2, ApprovalState.DENIED, task_id=7)
    store.take(event(1, Entity.APPROVAL, "2", denied), NOW)
    assert store.question_about(asked) == questions[0]
    assert store.question_about(task(9)) is None
