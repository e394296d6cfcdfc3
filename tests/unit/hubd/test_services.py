"""Tasks, nodes, approvals, money, tokens and time, as callers of the services see them."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from common.clock import to_datetime
from common.config import HubConfig
from common.fold import FoldedState
from common.wire.admin import NewToken, Role, SetHold
from common.wire.approvals import AnswerApproval, ApprovalKind, ApprovalState, Decision
from common.wire.events import Event, Pulse
from common.wire.messages import BridgeProblem, BridgeReport
from common.wire.nodes import (
    AccountState,
    Ask,
    BreakerState,
    Claim,
    DrainNode,
    OutputItem,
    OutputKind,
    PostOutput,
    Scope,
)
from common.wire.tasks import OnLost, Outcome, TaskState, Usage
from hubd.domain.prices import estimate_usd
from hubd.errors import (
    AlreadyAnsweredError,
    ConflictError,
    FencedError,
    ForbiddenError,
    IdempotencyMismatchError,
    InvalidError,
    NotFoundError,
    StorageFullError,
    SupersededError,
)
from hubd.services.feed import Reset
from hubd.services.money import GroupBy
from hubd.services.tasks import TaskQuery
from tests.unit.hubd.hub import BRIDGE, OPERATOR, Hub, configured, node_actor, open_hub

LOST_S = HubConfig().lost_after_s + 1
YES, NO = Decision.APPROVE, Decision.DENY


async def until(condition: Any, deadline_s: float = 5.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def answer(hub: Hub, code: str, decision: Decision, **fields: Any) -> Any:
    request = AnswerApproval(decision=decision, **fields)
    return await hub.services.approvals.answer(code, request, by=OPERATOR)


# -- tasks --------------------------------------------------------------------------------------


async def test_the_same_key_with_another_body_is_refused(hub: Hub) -> None:
    first = await hub.submit("tidy", key="k")
    assert (await hub.submit("tidy", key="k")).id == first.id
    with pytest.raises(IdempotencyMismatchError):
        await hub.submit("other", key="k")


async def test_a_detail_holds_attempts_usage_result_and_approvals(hub: Hub) -> None:
    await hub.node("rex")
    task = await hub.submit("tidy", approval=True)
    await answer(hub, task.approval_code or "", YES)
    usage = [Usage(model="m", input_tokens=3, output_tokens=4, cost_usd=0.2)]
    await hub.run_one("rex", text="all done", cost_usd=0.2, usage=usage, session_id="s")
    detail = await hub.task(task.id)
    assert (detail.result, detail.summary, detail.cost_usd) == ("all done", "all done", 0.2)
    assert [(a.number, a.outcome, a.usage) for a in detail.attempts] == [(1, "ok", usage)]
    assert [a.state for a in detail.approvals] == [ApprovalState.APPROVED]
    assert (detail.output_tokens, detail.session_node, detail.node) == (4, "rex", "rex")


async def test_lists_filter_and_page(hub: Hub) -> None:
    for number in range(5):
        await hub.submit(f"task {number}", specialist="critic" if number % 2 else None)
    page = await hub.services.tasks.list(TaskQuery(limit=2))
    assert [t.id for t in page.tasks] == [5, 4]
    rest = await hub.services.tasks.list(TaskQuery(limit=9, before=page.next_before))
    assert ([t.id for t in rest.tasks], rest.next_before) == ([3, 2, 1], None)
    found = await hub.services.tasks.list(TaskQuery(text="TASK 3", specialist="critic"))
    assert [t.id for t in found.tasks] == [4]
    queued = TaskQuery(states=(TaskState.RUNNING,))
    assert (await hub.services.tasks.list(queued)).tasks == []


async def test_priority_goes_first_then_age(hub: Hub) -> None:
    for priority in ("low", "normal", "high", "normal"):
        await hub.submit(priority, priority=priority)
    await hub.node("rex", slots=4)
    assert [lease.task.id for lease in await hub.claim("rex")] == [3, 2, 4, 1]


async def test_stopping_ends_waiting_work_at_once_and_running_work_through_its_node(
    hub: Hub,
) -> None:
    await hub.node("rex")
    for _ in range(3):
        await hub.submit()
    (one, two) = await hub.claim("rex")
    await hub.start(one.fence, "rex")
    states = {}
    for task in await hub.services.tasks.cancel_all(by=OPERATOR):
        states[task.id] = task.state
    assert states == {
        1: TaskState.CANCELLING, 2: TaskState.CANCELLED, 3: TaskState.CANCELLED,
    }  # fmt: skip
    with pytest.raises(FencedError):
        await hub.start(two.fence, "rex")
    assert (await hub.beat("rex", one.fence)).kill == [one.fence]
    await hub.result(one.fence, "rex", "killed", cost_usd=0.1, partial=True)
    task = await hub.task(1)
    assert (task.state, task.cost_usd) == (TaskState.CANCELLED, 0.1)


async def test_a_policy_that_refuses_says_so(tmp_path: Path) -> None:
    config = configured(approval={"deny": ["drop table"]})
    async with open_hub(tmp_path / "hub.db", config=config) as hub:
        with pytest.raises(ForbiddenError, match=r"approval\.deny"):
            await hub.submit("please DROP TABLE users")


async def lose_held_task(hub: Hub) -> None:
    """Task 1 was running on a node that is heard of no more."""
    await hub.node("rex")
    await hub.submit(on_lost=OnLost.HOLD)
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.tick()
    for _ in range(3):
        await hub.tick(LOST_S)


async def test_a_held_task_that_lost_its_node_waits_for_its_owner(hub: Hub) -> None:
    await lose_held_task(hub)
    assert (await hub.task(1)).state is TaskState.NEEDS_ATTENTION
    again = await hub.services.tasks.retry(1, key=None, by=OPERATOR)
    assert (again.created, again.task.state) == (False, TaskState.QUEUED)


async def test_sending_a_task_back_to_the_queue_again_with_its_key_does_nothing(hub: Hub) -> None:
    await lose_held_task(hub)
    retry = hub.services.tasks.retry
    assert (await retry(1, key="k", by=OPERATOR)).task.state is TaskState.QUEUED
    events = await hub.rows("SELECT count(*) FROM events")
    repeated = await retry(1, key="k", by=OPERATOR)
    assert (repeated.created, repeated.task.id) == (False, 1)
    assert await hub.rows("SELECT count(*) FROM events") == events
    with pytest.raises(ConflictError, match="not over"):
        await retry(1, key="another", by=OPERATOR)
    with pytest.raises(IdempotencyMismatchError):
        await retry(2, key="k", by=OPERATOR)


async def test_giving_up_a_task_that_needs_attention_fails_it(hub: Hub) -> None:
    await hub.submit()
    with pytest.raises(ConflictError):
        await hub.services.tasks.give_up(1, by=OPERATOR)


async def test_why_gives_one_verdict_a_node_from_the_dispatcher_itself(hub: Hub) -> None:
    await hub.node("rex", slots=1)
    await hub.node("archon", slots=1, labels=["gpu"])
    await hub.node("old", labels=["gpu"])
    hub.clock.advance(30)
    await hub.beat("rex")
    await hub.beat("archon")
    await hub.submit(requires=["gpu"])
    await hub.claim("archon")
    await hub.submit(requires=["gpu"])
    why = await hub.services.tasks.why(2)
    assert {v.node: v.reason for v in why.nodes} == {
        "archon": "all 1 slots busy", "old": "silent for 30 s", "rex": "lacks gpu",
    }  # fmt: skip
    assert (why.place, why.would_run_on, why.reason) == (1, None, "archon: all 1 slots busy")


# -- claims -------------------------------------------------------------------------------------


async def test_the_node_with_the_most_free_slots_gets_the_task(hub: Hub) -> None:
    await hub.node("archon", slots=5)
    await hub.node("rex", slots=2)
    claims = [asyncio.create_task(hub.claim(name, wait_s=30)) for name in ("rex", "archon")]
    await until(lambda: len(hub.services.dispatcher._waiters) == 2)
    await hub.submit()
    await until(claims[1].done)
    assert [lease.task.id for lease in claims[1].result()] == [1]
    assert not claims[0].done()
    claims[0].cancel()
    await asyncio.gather(*claims, return_exceptions=True)


async def test_a_burst_is_spread_over_the_fleet(hub: Hub) -> None:
    await hub.node("archon", slots=5)
    await hub.node("crucible", slots=3)
    for _ in range(6):
        await hub.submit()
    claims = await asyncio.gather(hub.claim("archon", 5, 0.2), hub.claim("crucible", 3, 0.2))
    assert sum(len(leases) for leases in claims) == 6


async def test_a_claim_whose_caller_left_gives_its_leases_back(hub: Hub) -> None:
    await hub.node("rex")
    claim = asyncio.create_task(hub.claim("rex", wait_s=30))
    await until(lambda: "rex" in hub.services.dispatcher._waiters)
    waiter = hub.services.dispatcher._waiters["rex"]
    claim.cancel()
    waiter.gone = True
    hub.services.dispatcher._waiters["rex"] = waiter
    await asyncio.gather(claim, return_exceptions=True)
    hub.services.dispatcher._waiters["rex"] = waiter
    await hub.submit()
    async with asyncio.timeout(5):
        while not await hub.claim("rex", wait_s=0.05):
            pass
    assert (await hub.task(1)).attempt == 1


async def test_a_newer_claim_of_a_node_ends_its_older_one(hub: Hub) -> None:
    await hub.node("rex")
    older = asyncio.create_task(hub.claim("rex", wait_s=30))
    await until(lambda: "rex" in hub.services.dispatcher._waiters)
    newer = asyncio.create_task(hub.claim("rex", wait_s=30))
    assert await older == []
    await hub.submit()
    assert len(await newer) == 1


async def test_a_stop_ends_the_claim_of_the_full_node_that_runs_the_task(hub: Hub) -> None:
    """The claim says: send a heartbeat, whose reply holds the order; once for each stop."""
    await hub.node("rex", slots=1)
    task = await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    full = Claim(free_slots=0, wait_s=30.0)
    waiting = asyncio.create_task(hub.services.attempts.claim("rex", full))
    await until(lambda: "rex" in hub.services.dispatcher._waiters)
    await hub.services.tasks.cancel(task.id, by=OPERATOR)
    async with asyncio.timeout(5):
        claimed = await waiting
    assert (claimed.leases, claimed.beat) == ([], True)
    assert (await hub.beat("rex", lease.fence)).kill == [lease.fence]
    again = await hub.services.attempts.claim("rex", Claim(free_slots=0, wait_s=0.0))
    assert not again.beat


async def test_a_stop_between_two_claims_is_told_by_the_next_one(hub: Hub) -> None:
    await hub.node("rex", slots=2)
    task = await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.services.tasks.cancel(task.id, by=OPERATOR)
    other = await hub.submit()
    claimed = await hub.services.attempts.claim("rex", Claim(free_slots=1, wait_s=30.0))
    assert claimed.beat
    assert [each.task.id for each in claimed.leases] == [other.id]


async def test_a_task_for_a_silent_node_writes_nothing_while_nothing_changes(hub: Hub) -> None:
    """Its reason named the seconds of silence, and so was an event every five seconds."""
    await hub.node("rex")
    await hub.node("archon")
    task = await hub.submit(node="rex")
    hub.clock.advance(100)
    await hub.services.reaper.tick()
    before = await hub.services.control.snapshot()
    for _ in range(600):  # an hour and more
        hub.clock.advance(6.0)
        await hub.services.reaper.tick()
    assert (await hub.services.control.snapshot()).last_event_id == before.last_event_id
    assert (await hub.task(task.id)).wait_reason == "rex is away"
    assert "silent for" in (await hub.services.tasks.why(task.id)).nodes[1].reason


async def test_one_that_waits_behind_others_is_not_next_in_line(hub: Hub) -> None:
    await hub.node("rex", slots=1)
    await hub.submit()
    assert await hub.say("second") == ["#2 queued, 1 ahead."]


async def test_hold_drain_and_an_unknown_node(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    await hub.services.control.hold(SetHold(on=True, reason="lunch"), by=OPERATOR)
    assert await hub.claim("rex") == []
    assert (await hub.services.tasks.why(1)).reason == "the mesh is on hold: lunch"
    await hub.services.control.hold(SetHold(on=False), by=OPERATOR)
    await hub.services.nodes.drain("rex", DrainNode(timeout_s=60), by=OPERATOR)
    assert await hub.claim("rex") == []
    await hub.tick(61)
    await hub.beat("rex")
    assert len(await hub.claim("rex")) == 1
    with pytest.raises(NotFoundError):
        await hub.claim("nobody")


async def test_a_lease_that_is_not_started_in_time_goes_back_without_costing_an_attempt(
    hub: Hub,
) -> None:
    await hub.node("rex")
    await hub.submit()
    await hub.tick()
    hub.clock.advance(61)
    await hub.beat("rex")
    (lease,) = await hub.claim("rex")
    await hub.tick(31)
    task = await hub.task(1)
    assert (task.state, task.attempt) == (TaskState.QUEUED, 0)
    with pytest.raises(FencedError):
        await hub.start(lease.fence, "rex")


async def test_a_claim_costs_the_same_however_much_is_finished(hub: Hub) -> None:
    """The plan of every statement of a pass touches the waiting tasks by index alone."""
    from hubd.store import tasks

    heads = tasks.LANE_HEADS.format(lanes=tasks.ALL_LANES)
    for sql in (heads, tasks.FIRST_OF_LANE, tasks.AHEAD, tasks.LIVE_BY_NODE):
        names = ("now", "lane", "skip", "rank", "id")
        plan = await hub.rows(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names, "1"))
        for *_, step in plan:
            assert "SCAN tasks" not in step or "USING" in step, step


async def test_tasks_that_are_not_what_was_approved_hold_up_nobody(hub: Hub) -> None:
    await hub.node("rex", slots=9)
    for _ in range(3):
        task = await hub.submit(approval=True)
        await answer(hub, task.approval_code or "", YES)
    honest = await hub.submit()
    await hub.database.write(
        lambda tx: tx.conn.execute("UPDATE tasks SET prompt = 'rm' WHERE id < 3") and None
    )
    assert [lease.task.id for lease in await hub.claim("rex")] == [3, honest.id]


async def test_an_account_that_never_had_trouble_may_be_resumed_as_well(hub: Hub) -> None:
    await hub.node("rex", account="main")
    resumed = await hub.services.nodes.resume_account("main", by=OPERATOR)
    assert resumed.state is AccountState.OK
    with pytest.raises(NotFoundError):
        await hub.services.nodes.resume_account("other", by=OPERATOR)


async def test_two_tasks_of_one_conversation_run_one_after_the_other(hub: Hub) -> None:
    await hub.node("rex", slots=4)
    await hub.submit()
    await hub.run_one("rex", session_id="s-1")
    for text in ("and this", "and that", "and those"):
        await hub.submit(text, continue_of=1)
    other = await hub.submit("something else")
    (first, beside) = await hub.claim("rex")
    assert (first.task.id, beside.task.id) == (2, other.id)
    assert (await hub.services.tasks.why(3)).reason == "#2 works in the same conversation"
    waiting = asyncio.create_task(hub.claim("rex", wait_s=30))
    await hub.start(first.fence, "rex", session_id="s-1")
    await hub.result(first.fence, "rex", session_id="s-1")
    assert [lease.task.id for lease in await waiting] == [3]


# -- accounts and breakers ----------------------------------------------------------------------


async def test_a_usage_limit_pauses_the_account_on_every_node_and_costs_nothing(hub: Hub) -> None:
    await hub.node("rex", slots=4)
    await hub.node("archon", slots=4)
    for _ in range(4):
        await hub.submit()
    leases = await hub.claim("rex", 3)
    for lease in leases:
        await hub.start(lease.fence, "rex", session_id=f"s{lease.fence}")
    reset = hub.clock.now() + 300
    for lease in leases:
        await hub.result(
            lease.fence, "rex", "provider_limit", resets_at=to_datetime(reset), error="5h limit"
        )
    assert await hub.claim("archon") == []
    snapshot = await hub.services.control.snapshot()
    assert [a.state for a in snapshot.accounts] == [AccountState.PAUSED]
    assert {t.attempt for t in snapshot.tasks} == {0}
    assert {n.breaker.state for n in snapshot.nodes} == {BreakerState.CLOSED}
    hub.clock.advance(361)
    await hub.beat("rex")
    first = await hub.claim("rex")
    assert len(first) == 1
    assert first[0].task.session_id is not None
    await hub.start(first[0].fence, "rex")
    await hub.result(first[0].fence, "rex")
    assert len(await hub.claim("rex")) == 1
    assert len(await hub.claim("rex")) == 0
    hub.clock.advance(21)
    await hub.beat("rex")
    assert len(await hub.claim("rex")) == 1


async def test_a_login_lost_on_one_node_is_told_once_and_the_task_runs_elsewhere(hub: Hub) -> None:
    """`one_mac_logged_out`, and `token_rotated` without a person."""
    await hub.node("rex")
    await hub.node("archon")
    await hub.say("look at this")
    (lease,) = await hub.claim("rex", free=1)
    await hub.start(lease.fence, "rex", session_id="s-1")
    await hub.result(lease.fence, "rex", "needs_login", error="401 token revoked")
    (told,) = await hub.replies()
    assert "rex cannot use account main (401 token revoked)" in told
    assert "mesh resume main@rex" in told
    task = await hub.task(lease.task.id)
    assert (task.state, task.attempt, task.not_before) == (TaskState.QUEUED, 0, None)
    assert await hub.claim("rex") == []
    why = {v.node: v for v in (await hub.services.tasks.why(task.id)).nodes}
    assert why["rex"].reason == "account main on rex needs a login"
    assert why["archon"].eligible
    (there,) = await hub.claim("archon")
    assert there.task.session_id is None
    assert "account main on rex needs a login, tries in" in (await hub.say("status"))[0]
    await hub.submit(node="rex")
    for _ in range(2):
        hub.clock.advance(200)
        await hub.beat("rex")
        await hub.run_one("rex", "needs_login", error="401 token revoked")
    assert await hub.replies() == []
    hub.clock.advance(700)
    await hub.beat("rex")
    await hub.submit(node="rex")
    (probe,) = await hub.claim("rex")
    await hub.start(probe.fence, "rex")
    await hub.result(probe.fence, "rex")
    assert len(await hub.claim("rex")) == 1


@pytest.mark.parametrize(
    ("outcome", "more"), [("needs_login", {}), ("provider_busy", {"scope": Scope.NODE})]
)
async def test_work_in_progress_waits_for_its_own_nodes_first_try_and_no_longer(
    hub: Hub, outcome: str, more: dict[str, Any]
) -> None:
    """`token_rotated` with a second Mac: half-done work is not begun again elsewhere at once."""
    await hub.node("rex", account="main")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex", session_id="s-1")
    tool = PostOutput(first=0, items=[OutputItem(kind=OutputKind.TOOL_START, tool="Edit")])
    await hub.services.attempts.output(lease.fence, tool, by=node_actor("rex"))
    await hub.result(lease.fence, "rex", outcome, error="401", **more)
    await hub.node("archon", account="main")
    assert await hub.claim("archon") == []
    hub.clock.advance(80)
    await hub.beat("rex")
    (again,) = await hub.claim("rex")
    assert again.task.session_id == "s-1"
    await hub.start(again.fence, "rex", session_id="s-1")
    await hub.services.attempts.output(again.fence, tool, by=node_actor("rex"))
    await hub.result(again.fence, "rex", outcome, error="401", **more)
    await hub.beat("archon")
    assert len(await hub.claim("archon")) == 1


async def test_a_resumed_account_frees_what_waited_for_its_reset(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit(model="opus")
    limit = {"limited_model": "opus", "resets_at": to_datetime(hub.clock.now() + 3 * 86_400)}
    await hub.run_one("rex", "provider_limit", error="Opus limit", **limit)
    assert [a.name for a in (await hub.services.nodes.get("rex")).troubles] == ["main:opus"]
    assert (await hub.task(1)).not_before is not None
    await hub.services.nodes.resume_account("main", by=OPERATOR)
    assert (await hub.task(1)).not_before is None
    assert len(await hub.claim("rex")) == 1


async def test_three_node_faults_open_the_breaker_with_their_evidence(hub: Hub) -> None:
    await hub.node("rex")
    await hub.text("hello")
    for number in range(3):
        await hub.submit(node="rex")
        await hub.run_one("rex", "node_fault", error=f"disk {number}")
        for task in (await hub.services.tasks.list(TaskQuery(states=(TaskState.QUEUED,)))).tasks:
            await hub.services.tasks.cancel(task.id, by=OPERATOR)
    status = await hub.services.nodes.get("rex")
    assert status.breaker.state is BreakerState.OPEN
    assert (await hub.beat("rex")).self_test
    detail = await hub.rows("SELECT detail FROM events WHERE type = 'breaker.opened'")
    assert b"disk 2" in detail[0][0]
    await hub.services.nodes.reset_breaker("rex", by=OPERATOR)
    await hub.submit(node="rex")
    assert len(await hub.claim("rex")) == 1


async def test_a_breaker_and_a_pause_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with open_hub(path) as hub:
        await hub.node("rex")
        await hub.submit()
        await hub.run_one("rex", "needs_login", error="logged out")
        clock = hub.clock
    async with open_hub(path, clock=clock) as hub:
        await hub.beat("rex")
        assert await hub.claim("rex") == []
        await hub.services.nodes.resume_account("main", by=OPERATOR)
        assert len(await hub.claim("rex")) == 1


# -- time ---------------------------------------------------------------------------------------


async def test_a_silent_attempt_becomes_unknown_comes_back_or_is_lost(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.tick()
    await hub.tick(61)
    await hub.tick(1)
    assert (await hub.task(1)).state is TaskState.UNKNOWN
    await hub.beat("rex", lease.fence)
    assert (await hub.task(1)).state is TaskState.RUNNING
    await hub.tick(61)
    await hub.tick(LOST_S)
    task = await hub.task(1)
    assert (task.state, task.crashes) == (TaskState.QUEUED, 1)
    with pytest.raises(FencedError):
        await hub.result(lease.fence, "rex", cost_usd=0.3)
    assert (await hub.task(1)).cost_usd == 0.3


async def test_a_restarted_agent_that_forgot_an_attempt_loses_it_at_once(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.node("rex", instance_id="rex-2")
    await hub.beat("rex", instance_id="rex-2")
    task = await hub.task(1)
    assert (task.state, task.crashes) == (TaskState.QUEUED, 1)
    assert (await hub.services.nodes.get("rex")).breaker.fails == 0


async def test_of_two_agents_under_one_name_only_the_newer_gets_work(hub: Hub) -> None:
    """As with a copied disk: the first goes on and comes back under the id it had."""
    await hub.node("rex", instance_id="first")
    await hub.beat("rex", instance_id="first")
    await hub.node("rex", instance_id="second")
    await hub.submit()
    claim = Claim(free_slots=1, wait_s=0, instance_id="first")
    with pytest.raises(ConflictError):
        await hub.services.attempts.claim("rex", claim)
    with pytest.raises(ConflictError):
        await hub.beat("rex", instance_id="first")
    with pytest.raises(SupersededError, match="another name"):
        await hub.node("rex", instance_id="first")
    assert len(await hub.claim("rex")) == 1
    hub.clock.advance(hub.services.dispatcher.env.config.hub.stale_after_s + 1)
    await hub.node("rex", instance_id="first")


async def test_a_node_that_beats_without_its_attempt_is_at_fault(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.tick()
    for _ in range(40):
        await hub.beat("rex")
        await hub.tick(10)
    assert (await hub.task(1)).crashes == 1
    assert (await hub.services.nodes.get("rex")).breaker.fails == 1


@pytest.mark.parametrize("hours", [-24, 8])
async def test_a_jump_of_the_clock_makes_no_node_younger_or_older(hub: Hub, hours: int) -> None:
    await hub.node("rex")
    await hub.services.nodes.drain("rex", DrainNode(timeout_s=600), by=OPERATOR)
    await hub.tick()
    hub.clock.advance(20)
    hub.clock.jump(hours * 3600.0)
    await hub.tick()
    status = await hub.services.nodes.get("rex")
    assert status.online
    assert status.heartbeat_age_s == pytest.approx(20)
    await hub.tick(10)
    assert not (await hub.services.nodes.get("rex")).online
    await hub.tick(575)
    assert not (await hub.services.nodes.get("rex")).draining


async def test_a_heartbeat_from_the_future_is_no_sign_of_life(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    hub.clock.jump(-3600)
    assert await hub.claim("rex") == []
    await hub.beat("rex")
    assert len(await hub.claim("rex")) == 1


async def test_leases_live_on_in_memory_while_the_disk_is_full(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.tick()
    await hub.tick(55)

    real = hub.database.write

    async def full(function: Any) -> Any:
        raise StorageFullError("the hub's disk is full")

    hub.database.write = full  # type: ignore[method-assign]
    reply = await hub.beat("rex", lease.fence)
    assert reply.kill == []
    hub.database.write = real  # type: ignore[method-assign]
    await hub.tick(10)
    assert (await hub.task(1)).state is TaskState.RUNNING


async def test_a_token_is_good_also_while_the_disk_is_full(hub: Hub) -> None:
    issued = await hub.services.tokens.issue(NewToken(role=Role.OPERATOR), by=OPERATOR)
    real = hub.database.write

    async def full(function: Any) -> Any:
        raise StorageFullError("the hub's disk is full")

    hub.database.write = full  # type: ignore[method-assign]
    assert await hub.services.tokens.verify(issued.token) is not None
    hub.database.write = real  # type: ignore[method-assign]


async def test_a_start_asked_for_again_does_not_begin_what_was_stopped_meanwhile(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    await hub.services.tasks.cancel(1, by=OPERATOR)
    for _ in range(2):
        with pytest.raises(FencedError):
            await hub.start(lease.fence, "rex")
    task = await hub.task(1)
    assert (task.state, task.outcome) == (TaskState.CANCELLED, Outcome.KILLED)
    assert [attempt.outcome for attempt in task.attempts] == ["killed"]


# -- questions in flight ------------------------------------------------------------------------


async def asking_attempt(hub: Hub) -> tuple[int, str]:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex", session_id="s-1")
    request = Ask(kind="tool", summary="Bash: make", detail="make", tool="Bash", ask_id="a")
    approval = await hub.services.attempts.ask(lease.fence, request, by=node_actor("rex"))
    same = await hub.services.attempts.ask(lease.fence, request, by=node_actor("rex"))
    assert same.code == approval.code
    return lease.fence, approval.code


async def test_an_answer_reaches_the_running_attempt_by_poll_and_by_heartbeat(hub: Hub) -> None:
    fence, code = await asking_attempt(hub)
    waiting = asyncio.create_task(hub.services.approvals.get(code, wait_s=30, by=node_actor("rex")))
    await until(lambda: bool(hub.services.approvals._waiting))
    await answer(hub, code, NO, note="not now")
    assert (await waiting).state is ApprovalState.DENIED
    assert [(a.code, a.note) for a in (await hub.beat("rex", fence)).answers] == [(code, "not now")]
    with pytest.raises(AlreadyAnsweredError) as caught:
        await answer(hub, code, YES)
    assert caught.value.detail["answered_by"] == OPERATOR.name
    with pytest.raises(ForbiddenError):
        await hub.services.approvals.get(code, by=node_actor("archon"))


@pytest.mark.parametrize("decision", [YES, NO])
async def test_a_parked_task_frees_its_slot_and_resumes_where_its_session_is(
    hub: Hub, decision: Decision
) -> None:
    fence, code = await asking_attempt(hub)
    await hub.result(fence, "rex", "parked", session_id="s-1", approval_code=code)
    task = await hub.task(1)
    assert (task.state, task.fence, task.attempt) == (TaskState.WAITING_APPROVAL, None, 0)
    await answer(hub, code, decision)
    await hub.node("archon", slots=9)
    assert await hub.claim("archon") == []
    (lease,) = await hub.claim("rex")
    assert lease.task.session_id == "s-1"
    assert lease.task.resume is not None
    assert (lease.task.resume.code, lease.task.resume.decision) == (code, decision)


async def test_a_question_answered_before_the_park_resumes_at_once(hub: Hub) -> None:
    fence, code = await asking_attempt(hub)
    await answer(hub, code, YES)
    await hub.result(fence, "rex", "parked", session_id="s-1", approval_code=code)
    assert (await hub.task(1)).state is TaskState.QUEUED
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    with pytest.raises(InvalidError):
        await hub.result(lease.fence, "rex", "parked")


async def test_a_yes_that_a_lost_attempt_went_on_with_is_not_given_out_again(hub: Hub) -> None:
    fence, code = await asking_attempt(hub)
    await hub.result(fence, "rex", "parked", session_id="s-1", approval_code=code)
    await answer(hub, code, YES)
    (resumed,) = await hub.claim("rex")
    assert resumed.task.resume is not None
    await hub.start(resumed.fence, "rex", session_id="s-1")
    await hub.node("archon")
    while (await hub.task(1)).state is not TaskState.QUEUED:
        await hub.tick(10)
        await hub.beat("archon")
    (again,) = await hub.claim("archon")
    assert (again.task.session_id, again.task.resume) == (None, None)
    assert again.task.prompt == "do it"


async def test_a_question_ends_with_the_attempt_that_asked_it(hub: Hub) -> None:
    fence, code = await asking_attempt(hub)
    await hub.result(fence, "rex", "interrupted")
    assert (await hub.task(1)).state is TaskState.QUEUED
    with pytest.raises(AlreadyAnsweredError, match="withdrawn"):
        await answer(hub, code, YES)


async def test_a_park_withdraws_what_else_was_asked(hub: Hub) -> None:
    fence, code = await asking_attempt(hub)
    request = Ask(kind="tool", summary="Bash: ls", detail="ls", tool="Bash", ask_id="b")
    other = await hub.services.attempts.ask(fence, request, by=node_actor("rex"))
    await hub.result(fence, "rex", "parked", session_id="s-1", approval_code=code)
    (pending,) = (await hub.services.approvals.list(ApprovalState.PENDING)).approvals
    assert pending.code == code
    with pytest.raises(AlreadyAnsweredError):
        await answer(hub, other.code, YES)


async def test_an_answer_to_something_else_than_was_shown_is_refused(hub: Hub) -> None:
    task = await hub.submit(approval=True)
    with pytest.raises(ConflictError):
        await answer(hub, task.approval_code or "", YES, digest="0" * 64)


async def test_a_question_of_a_task_that_ended_is_withdrawn(hub: Hub) -> None:
    fence, code = await asking_attempt(hub)
    await hub.result(fence, "rex", "permanent", error="broke")
    with pytest.raises(AlreadyAnsweredError):
        await answer(hub, code, YES)


# -- money --------------------------------------------------------------------------------------


async def test_the_days_cap_stops_new_work_and_asks(tmp_path: Path) -> None:
    config = configured(budget={"per_day_usd": 1.0})
    async with open_hub(tmp_path / "hub.db", config=config) as hub:
        await hub.node("rex")
        await hub.text("one")
        await hub.submit()
        await hub.run_one("rex", cost_usd=1.2)
        assert await hub.claim("rex") == []
        spend = await hub.services.money.today()
        assert (spend.capped, spend.cost_usd) == (True, 1.2)
        (question,) = (await hub.services.approvals.list(ApprovalState.PENDING)).approvals
        assert question.kind is ApprovalKind.BUDGET
        assert any("Today cost $1.20 of $1.00" in text for text in await hub.replies())
        await answer(hub, question.code, YES)
        assert len(await hub.claim("rex")) == 1


async def test_a_new_day_begins_with_nothing_spent(tmp_path: Path) -> None:
    config = configured(budget={"per_day_usd": 1.0})
    async with open_hub(tmp_path / "hub.db", config=config) as hub:
        await hub.node("rex")
        await hub.submit()
        await hub.run_one("rex", cost_usd=1.2)
        await hub.tick(86_400)
        assert (await hub.services.money.today()).cost_usd == 0
        assert (await hub.services.approvals.list(ApprovalState.PENDING)).approvals == []


async def test_costs_group_by_everything_and_add_up(hub: Hub) -> None:
    await hub.node("rex", specialists=["critic"])
    await hub.submit(specialist="critic")
    await hub.run_one(
        "rex",
        cost_usd=0.5,
        usage=[
            Usage(model="big", input_tokens=10, cost_usd=0.4),
            Usage(model="small", output_tokens=5, cost_usd=0.1),
        ],
    )
    await hub.submit()
    await hub.run_one("rex", usage=[Usage(model="odd", input_tokens=1)])
    for by in GroupBy:
        report = await hub.services.money.costs(by)
        assert sum(row.cost_usd or 0 for row in report.rows) == pytest.approx(0.5)
        assert (report.total.attempts, report.total.unknown_cost_attempts) == (2, 1)
        assert sum(row.input_tokens for row in report.rows) == 11
    later = await hub.services.money.costs(GroupBy.TASK, since=hub.clock.now() + 1)
    assert (later.rows, later.total.attempts) == ([], 0)


def test_list_prices_are_known_for_claude_and_unknown_models_stay_unknown() -> None:
    usage = Usage(model="claude-sonnet-4-5", input_tokens=1000)
    assert estimate_usd(usage) == pytest.approx(0.003)
    assert estimate_usd(Usage(model="no-such-model", input_tokens=5)) is None


# -- output, events, tokens, the bridge ---------------------------------------------------------


def lines(*texts: str) -> list[OutputItem]:
    return [OutputItem(kind=OutputKind.TEXT, text=text) for text in texts]


async def test_output_is_kept_once_and_followed_until_the_end(hub: Hub) -> None:
    await hub.node("rex")
    await hub.submit()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    attempts = hub.services.attempts
    rex = node_actor("rex")
    await attempts.output(lease.fence, PostOutput(first=0, items=lines("a", "b")), by=rex)
    again = await attempts.output(lease.fence, PostOutput(first=0, items=lines("a", "b")), by=rex)
    assert again.status == "duplicate"
    with pytest.raises(ConflictError):
        await attempts.output(lease.fence, PostOutput(first=9, items=lines("z")), by=rex)
    heard: list[str] = []

    async def follow() -> None:
        async with contextlib.aclosing(hub.services.tasks.output(1)) as stream:
            async for line in stream:
                heard.append(line.text if line else "")

    following = asyncio.create_task(follow())
    await until(lambda: heard == ["a", "b"])
    await attempts.output(lease.fence, PostOutput(first=2, items=lines("c")), by=rex)
    await until(lambda: heard == ["a", "b", "c"])
    await hub.result(lease.fence, "rex")
    await following


async def test_a_reader_gets_every_event_once_and_folds_to_the_hubs_own_state(hub: Hub) -> None:
    snapshot = await hub.services.control.snapshot()
    state = FoldedState.of(snapshot)
    seqs: list[int] = []

    async def follow() -> None:
        stream = hub.services.feed.follow(snapshot.last_event_id)
        async with contextlib.aclosing(stream) as items:
            async for item in items:
                if isinstance(item, Event):
                    seqs.append(item.seq)
                    state.apply(item)
                elif isinstance(item, Pulse):
                    state.beat(item)

    following = asyncio.create_task(follow())
    await hub.node("rex")
    await hub.text("ask publish")
    await hub.replies()
    await hub.text("y")
    await hub.run_one("rex", cost_usd=0.3)
    await hub.tick(5)
    now_is = await hub.services.control.snapshot()
    await until(lambda: state.last_event_id == now_is.last_event_id)
    hub.services.feed.close()
    await following
    assert seqs == list(range(1, len(seqs) + 1))
    wanted = FoldedState.of(now_is)
    assert state.tasks == wanted.tasks
    assert state.approvals == wanted.approvals
    assert state.messages == wanted.messages
    assert state.nodes == wanted.nodes
    assert state.spend == wanted.spend


@pytest.mark.parametrize("last_id", ["9-1", "1-99999", "nonsense", "1-"])
async def test_an_id_that_cannot_be_continued_is_answered_with_a_reset(
    hub: Hub, last_id: str
) -> None:
    await hub.submit()
    items = [item async for item in hub.services.feed.follow(last_id)]
    assert [type(item) for item in items] == [Reset]


async def test_events_that_were_deleted_are_not_skipped_in_silence(tmp_path: Path) -> None:
    config = configured(hub={"events_keep_days": 1.0})
    async with open_hub(tmp_path / "hub.db", config=config) as hub:
        await hub.submit()
        await hub.tick(2 * 86_400)
        await hub.tick(61)
        assert [type(i) async for i in hub.services.feed.follow("1-0")] == [Reset]


async def test_a_token_is_found_only_by_its_whole_text_and_until_it_is_revoked(hub: Hub) -> None:
    tokens = hub.services.tokens
    issued = await tokens.issue(NewToken(role=Role.NODE, name="rex"), by=OPERATOR)
    verified = await tokens.verify(issued.token)
    assert verified is not None
    assert (verified.actor.role, verified.actor.name) == (Role.NODE, "rex")
    secret = issued.token.rsplit("_", 1)[1] if issued.token.count("_") == 3 else ""
    for wrong in ("", "mesh", issued.token[:-1] + "!", issued.token.replace("node", "operator"),
                  issued.token[:-4] + "AAAA"):  # fmt: skip
        assert await tokens.verify(wrong) is None
    stored = await hub.rows("SELECT * FROM tokens")
    assert issued.token not in repr(stored)
    assert not secret or secret not in repr(stored)
    await tokens.revoke(issued.id, by=OPERATOR)
    assert await tokens.verify(issued.token) is None
    assert not await tokens.is_live(issued.id)
    with pytest.raises(NotFoundError):
        await tokens.revoke("0" * 12, by=OPERATOR)
    with pytest.raises(InvalidError):
        await tokens.issue(NewToken(role=Role.NODE), by=OPERATOR)


async def test_a_token_ends_with_its_time(hub: Hub) -> None:
    issued = await hub.services.tokens.issue(NewToken(role=Role.VIEWER, ttl_s=60), by=OPERATOR)
    hub.clock.advance(59)
    assert await hub.services.tokens.verify(issued.token) is not None
    hub.clock.advance(1)
    assert await hub.services.tokens.verify(issued.token) is None


async def test_the_bridges_troubles_are_seen_and_a_quiet_heartbeat_is_no_event(hub: Hub) -> None:
    trouble = BridgeReport(
        state="degraded", problems=[BridgeProblem(id="no_fda", text="cannot read chat.db")]
    )
    for _ in range(3):
        await hub.services.bridges.report(trouble, by=BRIDGE)
    assert (await hub.services.bridges.get()).state == "degraded"
    assert await hub.rows("SELECT count(*) FROM events WHERE entity = 'bridge'") == [(1,)]


async def test_files_are_kept_for_a_week(hub: Hub) -> None:
    file_id = await hub.services.files.put(
        b"jpeg", name="x.jpg", media_type="image/jpeg", by=BRIDGE
    )
    assert (await hub.services.files.get(file_id)).content == b"jpeg"
    await hub.tick(8 * 86_400)
    await hub.tick(61)
    with pytest.raises(NotFoundError):
        await hub.services.files.get(file_id)


async def test_a_claim_request_waits_no_longer_than_it_asked_for(hub: Hub) -> None:
    await hub.node("rex")
    claimed = await hub.services.attempts.claim("rex", Claim(free_slots=1, wait_s=0.01))
    assert claimed.leases == []
