"""Who takes a task: eligibility, score, and the reasons that `why` repeats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.wire.facts import NodeFacts
from common.wire.nodes import AccountState, BreakerState
from hubd.domain import dispatch
from hubd.domain.dispatch import Lane, NodeView, Refusal
from hubd.domain.records import AccountRecord, BreakerRecord, NodeRecord
from tests.unit.hubd.hub import projects

NOW = 1000.0
STALE_S = 25.0
ANY = Lane()


def view(name: str = "rex", *, busy: int = 0, offered: int | None = 9, **fields: Any) -> NodeView:
    node = NodeRecord(
        **{"name": name, "slots": 2, "registered_at": 0.0, "heartbeat_at": NOW - 1} | fields
    )
    return NodeView(node, node.heartbeat_at, BreakerRecord(node=name), busy, offered)


def refusal(candidate: NodeView, lane: Lane = ANY) -> Refusal | None:
    return dispatch.judge(candidate, lane, NOW, STALE_S).refusal


def test_a_fresh_idle_node_takes_any_task() -> None:
    assert refusal(view()) is None


@pytest.mark.parametrize(
    ("candidate", "lane", "expected"),
    [
        (view(), Lane(pinned_node="archon"), Refusal.PINNED_ELSEWHERE),
        (view(), Lane(specialist="critic"), Refusal.NO_SPECIALIST),
        (view(labels=("gpu",)), Lane(requires=("gpu", "x86")), Refusal.NO_LABEL),
        (view(facts=projects("web")), Lane(project="api"), Refusal.NO_PROJECT),
        (view(facts=projects("web", problem="gone")), Lane(project="web"), Refusal.NO_PROJECT),
        (view(facts=projects("web")), Lane(project="web"), None),
        (view(heartbeat_at=NOW - 25), ANY, Refusal.AWAY),
        (view(heartbeat_at=None), ANY, Refusal.AWAY),
        (view(draining=True), ANY, Refusal.DRAINING),
        (view(accepting=False), ANY, Refusal.NOT_ACCEPTING),
        (view(busy=2), ANY, Refusal.NO_SLOT),
    ],
)
def test_a_node_says_why_it_does_not_take_a_task(
    candidate: NodeView, lane: Lane, expected: Refusal | None
) -> None:
    assert refusal(candidate, lane) is expected


def test_a_node_that_does_not_say_which_projects_it_has_may_have_any() -> None:
    assert refusal(view(), Lane(project="api")) is None


def test_an_open_breaker_and_a_paused_account_keep_work_away() -> None:
    broken = view()
    broken.breaker = BreakerRecord(node="rex", state=BreakerState.OPEN, until=NOW + 9)
    assert dispatch.judge(broken, ANY, NOW, STALE_S).until == NOW + 9
    assert refusal(broken) is Refusal.BREAKER
    paused = view()
    paused.accounts = {
        "rex": AccountRecord("rex", state=AccountState.PAUSED, paused_until=NOW + 60)
    }
    assert refusal(paused) is Refusal.ACCOUNT


@pytest.mark.parametrize(
    ("facts", "lane", "waits"),
    [
        ("{}", Lane(model="opus"), True),
        ("{}", Lane(model="haiku"), False),
        ("{}", ANY, False),
        ('{"model": "opus"}', ANY, True),
        ('{"model": "claude-opus-5-5"}', Lane(model="sonnet"), False),
        ('{"model": "sonnet", "models": {"critic": "opus"}}', Lane(specialist="critic"), True),
        ('{"model": "opus", "models": {"critic": "haiku"}}', Lane(specialist="critic"), False),
        ('{"model": "opus", "models": {"critic": "inherit"}}', Lane(specialist="critic"), False),
    ],
)
def test_one_models_limit_stops_only_what_runs_on_that_model(
    facts: str, lane: Lane, waits: bool
) -> None:
    """`one_model_limited`: the class is the task's, its specialist's or the node's own."""
    limited = AccountRecord(
        "rex:opus", "rex", model="opus", state=AccountState.PAUSED, paused_until=NOW + 60
    )
    node = view(facts=msgspec.json.decode(facts, type=NodeFacts), specialists=("critic",))
    node.accounts = {"rex:opus": limited}
    assert refusal(node, lane) is (Refusal.ACCOUNT if waits else None)


def test_a_lanes_key_names_the_class_of_model_and_old_keys_still_parse() -> None:
    lane = Lane("rex", "critic", ("gpu", "x86"), "a/b", "opus")
    assert Lane.parse(lane.key) == lane
    assert Lane.parse("-/-/gpu/") == Lane(requires=("gpu",))


def test_most_free_slots_win_then_the_younger_heartbeat_then_success_then_the_name() -> None:
    wide = view("wide", slots=5, busy=1, heartbeat_at=NOW - 9)
    young = view("young", slots=3, heartbeat_at=NOW - 1)
    old = view("old", slots=3, heartbeat_at=NOW - 5)
    assert dispatch.choose([old, young, wide], ANY, NOW, STALE_S) is wide
    assert dispatch.choose([old, young], ANY, NOW, STALE_S) is young
    lucky, unlucky = view("z", success=0.9), view("a", success=0.1)
    assert dispatch.choose([unlucky, lucky], ANY, NOW, STALE_S) is lucky
    assert dispatch.choose([view("b"), view("a")], ANY, NOW, STALE_S).node.name == "a"  # type: ignore[union-attr]


def test_only_a_node_that_asks_is_given_work() -> None:
    assert dispatch.choose([view(offered=None), view(offered=0)], ANY, NOW, STALE_S) is None


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)


@given(
    st.none() | names,
    st.none() | names,
    st.sets(names, max_size=4),
    st.none() | st.text(min_size=1, max_size=20),
)
def test_a_lane_survives_being_stored(
    pinned: str | None, specialist: str | None, requires: set[str], project: str | None
) -> None:
    lane = Lane(pinned, specialist, tuple(sorted(requires)), project)
    assert Lane.parse(lane.key) == lane


@given(
    st.lists(
        st.tuples(
            st.integers(1, 4), st.integers(0, 4), st.booleans(), st.booleans(), st.floats(0, 60)
        ),
        max_size=6,
    ),
    st.sampled_from([ANY, Lane(pinned_node="n1"), Lane(specialist="critic")]),
)
def test_the_choice_and_the_reasons_never_contradict_each_other(
    fleet: list[tuple[int, int, bool, bool, float]], lane: Lane
) -> None:
    views = [
        view(
            f"n{i}", slots=slots, busy=busy, draining=draining, heartbeat_at=NOW - age,
            specialists=("critic",) if bench else (),
        )
        for i, (slots, busy, draining, bench, age) in enumerate(fleet)
    ]  # fmt: skip
    chosen = dispatch.choose(views, lane, NOW, STALE_S)
    verdicts = [dispatch.judge(v, lane, NOW, STALE_S) for v in views]
    reason = dispatch.summarize(lane, verdicts)
    assert (chosen is not None) == (reason == "next in line")
    for verdict in verdicts:
        assert verdict.text
    if chosen is not None:
        assert chosen.busy < chosen.node.slots


def test_a_lane_nobody_fits_is_told_so() -> None:
    verdicts = [dispatch.judge(view(), Lane(specialist="critic"), NOW, STALE_S)]
    assert dispatch.summarize(Lane(specialist="critic"), verdicts) == "no node has @critic"
    assert dispatch.summarize(ANY, []) == "no node has registered yet"
    pinned = Lane(pinned_node="gone")
    verdicts = [dispatch.judge(view(), pinned, NOW, STALE_S)]
    assert dispatch.summarize(pinned, verdicts) == "no node is called gone"


def test_recent_success_moves_towards_what_happened_last() -> None:
    value = 1.0
    for _ in range(20):
        value = dispatch.new_success(value, ok=False)
    assert value < 0.02
    assert dispatch.new_success(value, ok=True) > value
    assert replace(NodeRecord("x", 1, 0.0), success=value).success == value
