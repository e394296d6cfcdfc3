"""Interrupted work returns to its session, folder and node, and says how long it waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import HubConfig
from common.config.sense import KILL_GRACE_S
from common.wire.nodes import Ask, Leaving
from common.wire.tasks import Outcome, TaskState, Usage
from hubd.domain import places
from hubd.domain.dispatch import Lane
from hubd.errors import ConflictError, FencedError
from tests.unit.hubd.hub import OPERATOR, Hub, configured, node_actor, open_hub

LIMITS = HubConfig()
USED = [Usage(model="m", input_tokens=5, output_tokens=7)]


@pytest.fixture
async def pair(hub: Hub) -> Hub:
    """Rex and Archon, both free; one task runs on Rex, in a session of its own."""
    await hub.node("rex")
    await hub.node("archon")
    await hub.beat("rex")
    await hub.beat("archon")
    await hub.tick()
    return hub


async def begin(hub: Hub, text: str = "build it", **fields: Any) -> int:
    """A task by text that runs on Rex; returns its fence."""
    if fields:
        await hub.submit(text, **fields)
    else:
        await hub.text(text)
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex", runner="claude", session_id="s-1")
    await hub.replies()
    return lease.fence


async def interrupt(hub: Hub, fence: int, outcome: str = "interrupted", **fields: Any) -> None:
    await hub.result(
        fence, "rex", outcome, **{"session_id": "s-1", "runner": "claude", "usage": USED} | fields
    )


async def pass_by(hub: Hub, seconds: float, *beating: str) -> None:
    """Time passes while these nodes beat."""
    for _ in range(int(seconds // 20)):
        hub.clock.advance(20)
        for name in beating:
            await hub.beat(name)
    await hub.tick()


@pytest.mark.parametrize("outcome", ["interrupted", "lost", "task_error", "node_fault"])
async def test_interrupted_work_waits_for_the_node_that_holds_its_session(
    pair: Hub, outcome: str
) -> None:
    await interrupt(pair, await begin(pair), outcome)
    assert await pair.claim("archon") == []
    await pass_by(pair, 60, "archon")
    assert await pair.claim("archon") == []
    why = await pair.services.tasks.why(1)
    assert why.reason.startswith("waits for rex (silent) until ")
    assert why.reason.endswith(", then starts elsewhere")
    await pair.beat("rex")
    (lease,) = await pair.claim("rex")
    assert lease.task.session_id == "s-1"
    assert lease.task.earlier is not None
    assert (lease.task.earlier.node, lease.task.earlier.outcome) == ("rex", outcome)


async def test_it_starts_elsewhere_when_the_stated_time_is_over_and_says_where_its_work_is(
    pair: Hub,
) -> None:
    await interrupt(pair, await begin(pair))
    task = await pair.task(1)
    assert task.wait_until is not None
    left = task.wait_until.timestamp() - pair.clock.now()
    assert left == pytest.approx(LIMITS.wait_for_node_s)
    await pass_by(pair, left - 40, "archon")
    assert await pair.claim("archon") == []
    await pass_by(pair, 60, "archon")
    await pair.replies()
    (lease,) = await pair.claim("archon")
    assert (lease.task.session_id, lease.task.prompt) == (None, "build it")
    assert lease.task.earlier is not None
    assert lease.task.earlier.node == "rex"
    (told,) = await pair.replies()
    assert told.startswith("#1 starts again on archon.")
    assert "on rex only" in told


async def test_a_wait_that_lasts_is_told_once(pair: Hub) -> None:
    await interrupt(pair, await begin(pair))
    await pass_by(pair, 200, "archon")
    assert await pair.replies() == []
    await pass_by(pair, 200, "archon")
    await pair.tick(6)
    (told,) = await pair.replies()
    assert told.startswith("#1 waits for rex (silent) until ")
    assert told.endswith(", then starts elsewhere. retry 1 elsewhere moves it.")
    await pass_by(pair, 200, "archon")
    await pair.tick(6)
    assert await pair.replies() == []


async def test_a_silent_node_is_waited_for_and_why_says_until_when(pair: Hub) -> None:
    await begin(pair)
    await pass_by(pair, 120, "archon")
    why = await pair.services.tasks.why(1)
    assert why.state is TaskState.UNKNOWN
    assert why.reason.startswith("it waits for rex (silent) until ")
    assert "then starts elsewhere. retry 1 elsewhere moves it" in why.reason
    assert (await pair.task(1)).wait_reason is not None
    await pair.tick(LIMITS.lost_after_s)
    await pair.beat("archon")
    assert len(await pair.claim("archon")) == 1


async def test_a_sleeper_is_waited_for_longer_and_comes_back_to_its_running_work(
    pair: Hub,
) -> None:
    fence = await begin(pair)
    await pair.beat("rex", fence, leaving=Leaving.SLEEPING)
    await pair.tick(120)
    await pair.tick(LIMITS.lost_after_s + 60)
    assert (await pair.task(1)).state is TaskState.UNKNOWN
    assert "waits for rex (asleep)" in (await pair.services.tasks.why(1)).reason
    await pair.beat("rex", fence)
    task = await pair.task(1)
    assert (task.state, task.fence, task.wait_reason) == (TaskState.RUNNING, fence, None)
    assert (await pair.services.nodes.get("rex")).leaving is None


async def test_what_waits_for_a_node_that_goes_to_sleep_waits_longer(pair: Hub) -> None:
    await interrupt(pair, await begin(pair))
    await pair.beat("rex", accepting=False, leaving=Leaving.SLEEPING)
    until = (await pair.task(1)).wait_until
    assert until is not None
    assert until.timestamp() - pair.clock.now() == pytest.approx(LIMITS.wait_for_sleeper_s)


async def test_a_fault_before_the_model_answered_loses_nothing_and_goes_anywhere(
    pair: Hub,
) -> None:
    await interrupt(pair, await begin(pair), "node_fault", usage=[])
    assert len(await pair.claim("archon")) == 1


async def test_a_lease_that_is_given_back_keeps_its_place(pair: Hub) -> None:
    await interrupt(pair, await begin(pair))
    await pass_by(pair, 80, "rex", "archon")
    (lease,) = await pair.claim("rex")
    await pair.tick(31)
    await pair.beat("archon")
    task = await pair.task(1)
    assert (task.state, task.wait_until is None) == (TaskState.QUEUED, False)
    assert await pair.claim("archon") == []
    with pytest.raises(FencedError):
        await pair.start(lease.fence, "rex")


async def test_an_answered_question_waits_for_its_node_and_not_for_ever(pair: Hub) -> None:
    fence = await begin(pair)
    ask = Ask(kind="tool", summary="Bash", detail="make", tool="Bash", ask_id="a")
    approval = await pair.services.attempts.ask(fence, ask, by=node_actor("rex"))
    await interrupt(pair, fence, "parked", approval_code=approval.code)
    await pair.text(f"y {approval.code}")
    assert await pair.claim("archon") == []
    await pass_by(pair, LIMITS.wait_for_node_s + 20, "archon")
    (lease,) = await pair.claim("archon")
    assert lease.task.resume is None


# -- elsewhere ------------------------------------------------------------------------------------


async def test_a_waiting_task_goes_elsewhere_at_its_owners_word(pair: Hub) -> None:
    await interrupt(pair, await begin(pair))
    (said,) = await pair.say("retry 1 elsewhere")
    assert "archon has room" in said
    assert "no longer waits for rex" in said
    assert await pair.claim("rex") == []
    (lease,) = await pair.claim("archon")
    assert lease.task.session_id is None


async def test_running_work_is_stopped_before_it_starts_elsewhere(pair: Hub) -> None:
    fence = await begin(pair)
    (said,) = await pair.say("retry 1 elsewhere")
    assert said.startswith("#1 is being stopped on rex and then starts elsewhere.")
    assert await pair.claim("archon") == []
    assert (await pair.beat("rex", fence)).kill == [fence]
    assert await pair.claim("archon") == []
    await interrupt(pair, fence, "killed")
    assert await pair.claim("rex") == []
    assert len(await pair.claim("archon")) == 1
    assert (await pair.task(1)).crashes == 0


async def test_a_silent_node_may_still_run_it_until_its_time_is_over(pair: Hub) -> None:
    await begin(pair)
    await pass_by(pair, 100, "archon")
    task = await pair.task(1)
    assert task.state is TaskState.UNKNOWN
    unknown_since = pair.clock.now()
    (said,) = await pair.say("retry 1 elsewhere")
    assert said.startswith("rex is silent and may still run #1.")
    safe_at = unknown_since + LIMITS.stop_after_s + KILL_GRACE_S
    await pair.tick(safe_at - pair.clock.now() - 30)
    await pair.beat("archon")
    assert await pair.claim("archon") == []
    await pair.tick(31)
    await pair.beat("archon")
    assert len(await pair.claim("archon")) == 1
    assert (await pair.task(1)).crashes == 0


async def test_a_silent_node_that_comes_back_confirms_the_end(pair: Hub) -> None:
    fence = await begin(pair)
    await pass_by(pair, 100, "archon")
    await pair.services.tasks.retry(1, key=None, by=OPERATOR, elsewhere=True)
    assert (await pair.beat("rex", fence)).kill == [fence]
    await interrupt(pair, fence, "killed")
    assert len(await pair.claim("archon")) == 1


async def test_a_run_that_was_done_before_the_move_reached_it_counts(pair: Hub) -> None:
    fence = await begin(pair)
    await pair.say("retry 1 elsewhere")
    await interrupt(pair, fence, "ok", text="done")
    assert (await pair.task(1)).state is TaskState.SUCCEEDED


async def test_a_start_asked_again_after_the_move_spawns_nothing(pair: Hub) -> None:
    fence = await begin(pair)
    await pair.say("retry 1 elsewhere")
    with pytest.raises(FencedError):
        await pair.start(fence, "rex")
    assert len(await pair.claim("archon")) == 1


async def test_a_lease_that_was_not_started_moves_at_once(pair: Hub) -> None:
    await pair.text("build it")
    (lease,) = await pair.claim("rex")
    await pair.say("retry 1 elsewhere")
    with pytest.raises(FencedError):
        await pair.start(lease.fence, "rex")
    assert await pair.claim("rex") == []
    assert len(await pair.claim("archon")) == 1


async def test_a_task_for_one_machine_goes_elsewhere_when_its_owner_says_so(pair: Hub) -> None:
    await pair.text("on rex build it")
    await pair.say("retry 1 elsewhere")
    assert await pair.claim("rex") == []
    assert len(await pair.claim("archon")) == 1


async def test_a_finished_task_is_repeated_on_another_machine(pair: Hub) -> None:
    await interrupt(pair, await begin(pair), "permanent")
    await pair.say("retry 1 elsewhere")
    assert await pair.claim("rex") == []
    (lease,) = await pair.claim("archon")
    assert lease.task.id == 2


async def test_what_cannot_be_moved_is_said(pair: Hub) -> None:
    await pair.submit("waits for anybody")
    with pytest.raises(ConflictError, match="bound to no machine"):
        await pair.services.tasks.retry(1, key=None, by=OPERATOR, elsewhere=True)
    await pair.text("ask build it")
    with pytest.raises(ConflictError, match="answer it first"):
        await pair.services.tasks.retry(2, key=None, by=OPERATOR, elsewhere=True)


async def test_retry_of_what_is_not_over_names_the_way_to_move_it(pair: Hub) -> None:
    await begin(pair)
    (said,) = await pair.say("retry 1")
    assert said == "#1 is not over: it is running: retry 1 elsewhere moves it"


# -- caps -----------------------------------------------------------------------------------------


async def test_a_follow_up_has_the_cap_of_what_it_continues(pair: Hub) -> None:
    fence = await begin(pair, max_cost_usd=2.0, timeout_s=900.0)
    await interrupt(pair, fence, "task_error", final=True, capped="budget", cost_usd=2.01)
    assert (await pair.task(1)).state is TaskState.FAILED
    await pair.text("#1 and now in blue")
    (lease,) = await pair.claim("rex")
    assert (lease.task.max_cost_usd, lease.task.timeout_s) == (2.0, 900.0)
    await pair.submit("its own", continue_of=1, max_cost_usd=1.0)
    assert (await pair.task(3)).max_cost_usd == 1.0


async def test_an_interrupted_task_resumes_with_what_is_left_of_its_cap(pair: Hub) -> None:
    await interrupt(pair, await begin(pair, max_cost_usd=2.0), cost_usd=1.5)
    (lease,) = await pair.claim("rex")
    assert lease.task.max_cost_usd == pytest.approx(0.5)


async def test_an_interrupted_task_that_spent_its_cap_does_not_run_on(pair: Hub) -> None:
    await interrupt(pair, await begin(pair, max_cost_usd=2.0), cost_usd=2.5)
    task = await pair.task(1)
    assert (task.state, task.error) == (TaskState.FAILED, "its cap of $2 is spent ($2.50)")


async def test_all_turns_of_an_attempt_are_no_failure_and_asked_about_after_some_rounds(
    pair: Hub,
) -> None:
    fence = await begin(pair)
    for _ in range(LIMITS.turn_rounds - 1):
        await interrupt(pair, fence, "task_error", capped="turns", error="100 turns were used")
        assert (await pair.task(1)).state is TaskState.QUEUED
        (lease,) = await pair.claim("rex")
        assert lease.task.session_id == "s-1"
        fence = lease.fence
        await pair.start(fence, "rex", session_id="s-1", runner="claude")
    await interrupt(pair, fence, "task_error", capped="turns", error="100 turns were used")
    assert (await pair.task(1)).state is TaskState.NEEDS_ATTENTION
    (asked,) = await pair.replies()
    assert "100 turns were used" in asked
    assert "retry 1 continues where it was, stop 1 ends it." in asked
    await pair.say("retry 1")
    (lease,) = await pair.claim("rex")
    assert lease.task.session_id == "s-1"


async def test_the_nodes_own_time_limit_asks_and_does_not_fail(pair: Hub) -> None:
    await interrupt(pair, await begin(pair), "task_error", capped="time", error="ended after 2 h")
    assert (await pair.task(1)).state is TaskState.NEEDS_ATTENTION


# -- pure -----------------------------------------------------------------------------------------


@given(
    since=st.floats(0, 1e9),
    leaving=st.sampled_from([None, *Leaving]),
    moved=st.booleans(),
    stopped=st.booleans(),
)
def test_nothing_is_given_away_while_its_node_may_still_work_on_it(
    since: float, leaving: Leaving | None, moved: bool, stopped: bool
) -> None:
    lost_at = places.lost_at(since, leaving, LIMITS, moved=moved, stopped=stopped)
    last_contact = since - LIMITS.lease_s
    assert lost_at >= last_contact + LIMITS.stop_after_s + KILL_GRACE_S


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_never_ran_belongs_nowhere(outcome: Outcome) -> None:
    assert not places.keeps_place(outcome, ran=False, progressed=False)


@given(
    node=st.sampled_from([None, "rex"]),
    avoid=st.sampled_from([None, "rex", "archon"]),
    project=st.sampled_from([None, "a/b", "!x"]),
)
def test_a_lane_is_read_as_it_was_written(
    node: str | None, avoid: str | None, project: str | None
) -> None:
    lane = Lane(node, None, ("gpu",), project, None if node else avoid)
    assert Lane.parse(lane.key) == lane


async def test_lanes_are_counted_when_a_task_changes_its_lane(
    tmp_path: Path,
) -> None:
    config = configured(hub={"wait_for_node_s": 0.0})
    async with open_hub(tmp_path / "hub.db", config=config) as hub:
        await hub.node("rex")
        await hub.node("archon")
        await interrupt(hub, await begin(hub))
        await hub.tick()
        rows = await hub.rows("SELECT lane, queued FROM lanes")
        assert rows == [("-/-//", 1)]
        assert len(await hub.claim("archon")) == 1
