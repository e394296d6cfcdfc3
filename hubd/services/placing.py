"""One dispatch pass: the tasks that wait, in order, each to the best node that asks for work."""

from __future__ import annotations

import heapq
import logging
from dataclasses import dataclass, field

from common.wire.approvals import ApprovalKind, ApprovalState, Decision
from common.wire.nodes import Earlier, Lease, ResumeAnswer, TaskSpec
from common.wire.tasks import Outcome
from hubd.domain import accounts, breaker, dispatch, money, replies
from hubd.domain import approvals as rules
from hubd.domain.dispatch import Lane, NodeView
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import AttemptRecord, TaskRecord
from hubd.services import ending, journal, waiting
from hubd.services.env import Env
from hubd.store import approvals, attempts, meta, tasks
from hubd.store import money as money_store
from hubd.store.transaction import Tx

logger = logging.getLogger(__name__)

MAX_LEASES = 64
"""In one transaction; the next pass goes on where this one ended."""


@dataclass(slots=True)
class Placed:
    """What a pass handed out. `wake_at`: when a pass may find more, if nothing else changes;
    `more` when it stopped early."""

    leases: dict[str, list[Lease]] = field(default_factory=dict)
    wake_at: float | None = None
    more: bool = False


def run_pass(tx: Tx, env: Env, offers: dict[str, int]) -> Placed:
    """`offers` is how many leases each node that is asking takes."""
    placed = Placed()
    if not offers or journal.get_hold(tx).on:
        return placed
    heads = tasks.lane_heads(tx.conn, tx.now, offers)
    placed.wake_at = tasks.next_due(tx.conn, tx.now)
    if not heads or journal.spend_of(tx, env).capped:
        return placed
    views = waiting.node_views(tx, env, offers)
    heap = [(-rank, task_id, index) for index, (_, rank, task_id) in enumerate(heads)]
    heapq.heapify(heap)
    count = 0
    passed_over: set[int] = set()
    while heap:
        _, task_id, index = heapq.heappop(heap)
        lane = heads[index][0]
        view = _best(tx, env, views, lane, placed)
        if view is None:
            continue  # nobody takes this lane now, so its other tasks wait too
        if count == MAX_LEASES:
            placed.more = True
            break
        if _place(tx, env, task_id, view, placed):
            count += 1
        else:
            passed_over.add(task_id)
        following = tasks.first_of_lane(tx.conn, lane, tx.now, skip=passed_over)
        if following is not None:
            heapq.heappush(heap, (-following[0], following[1], index))
    return placed


def _best(
    tx: Tx, env: Env, views: dict[str, NodeView], lane: Lane, placed: Placed
) -> NodeView | None:
    stale_after_s = env.config.hub.stale_after_s
    able: list[NodeView] = []
    for view in dispatch.candidates(views, lane):
        if not view.offered:
            continue
        verdict = dispatch.judge(view, lane, tx.now, stale_after_s)
        if verdict.ok:
            able.append(view)
        elif verdict.until is not None and verdict.until > tx.now:
            placed.wake_at = min(placed.wake_at or verdict.until, verdict.until)
    return min(able, key=lambda view: dispatch.score(view, tx.now), default=None)


def _place(
    tx: Tx,
    env: Env,
    task_id: int,
    view: NodeView,
    placed: Placed,
) -> bool:
    task = tasks.find(tx.conn, task_id)
    assert task is not None
    if not _is_allowed(tx, task):
        logger.error("gated task without its yes in the queue", extra={"task": task_id})
        return False
    lease = lease_task(tx, env, task, view)
    placed.leases.setdefault(view.node.name, []).append(lease)
    return True


def _is_allowed(tx: Tx, task: TaskRecord) -> bool:
    """A gated task runs only as it was approved (I10)."""
    if task.approval_code is None:
        return True
    gates = [a for a in approvals.of_task(tx.conn, task.id) if a.kind is ApprovalKind.GATE]
    # A task that was changed before its yes was asked about again; the old question is withdrawn.
    held = [gate for gate in gates if gate.state is not ApprovalState.WITHDRAWN]
    return bool(held) == bool(gates) and all(
        gate.state is ApprovalState.APPROVED and gate.digest == rules.task_digest(task)
        for gate in held
    )


def lease_task(tx: Tx, env: Env, task: TaskRecord, view: NodeView) -> Lease:
    """T4: a new fence, an attempt, the slot; breaker and account count their probe."""
    config = env.config
    fence = meta.next_fence(tx.conn, tx.epoch)
    until = tx.now + config.hub.start_within_s
    node = view.node
    attempt = AttemptRecord(
        fence=fence,
        task_id=task.id,
        number=task.attempt + 1,
        node=node.name,
        leased_at=tx.now,
        lease_until=until,
        account=node.account_name,
        instance_id=node.instance_id,
    )
    attempts.insert(tx.conn, attempt)
    _count_probe(tx, env, view, task, fence)
    leased = journal.move_task(
        tx,
        env,
        task,
        Move.LEASE,
        Cause.NODE,
        detail={"node": node.name, "fence": fence},
        node=node.name,
        last_node=node.name,
        fence=fence,
        lease_until=until,
        attempt=attempt.number,
        not_before=None,
        wait_reason=None,
    )
    view.busy += 1
    view.offered = (view.offered or 1) - 1
    earlier = earlier_run(tx, task)
    if earlier is not None and earlier.node != node.name and task.conversation is not None:
        text = replies.starts_elsewhere(task, node.name, earlier.node)
        journal.queue_text(tx, env, "notice", task.conversation, text, task_id=task.id)
    return Lease(
        task=spec(leased, node.name, _resume(tx, leased), earlier),
        attempt=attempt.number,
        fence=fence,
        lease_s=config.hub.lease_s,
    )


def _count_probe(tx: Tx, env: Env, view: NodeView, task: TaskRecord, fence: int) -> None:
    was_breaker = view.breaker
    if was_breaker is not None:
        view.breaker = breaker.on_lease(was_breaker, fence, tx.now, env.config.breaker)
        journal.save_breaker(tx, env, was_breaker, view.breaker, {"fence": fence})
    node, model = view.node, ending.model_of(task, view.node)
    for now_is in accounts.lease(
        view.accounts, node.account_name, node.name, model, fence, tx.now, env.config.breaker
    ):
        was = view.accounts[now_is.name]
        journal.save_account(tx, was, now_is, {"fence": fence, "node": node.name})
        view.accounts[now_is.name] = now_is


def spec(
    task: TaskRecord, node: str, resume: ResumeAnswer | None, earlier: Earlier | None
) -> TaskSpec:
    """All a node needs to know; the session, and the answer it waits for, only where it is."""
    here = task.session_node == node
    return TaskSpec(
        id=task.id,
        prompt=task.prompt,
        title=task.title,
        priority=task.priority,
        specialist=task.specialist,
        project=task.project,
        branch=task.branch,
        model=task.model,
        session_id=task.session_id if here else None,
        continue_of=task.continue_of,
        max_cost_usd=money.left_usd(task.max_cost_usd, task.cost_usd),
        timeout_s=task.timeout_s,
        resume=resume if here or task.session_id is None else None,
        earlier=earlier,
        files=list(task.files),
    )


_MAY_HAVE_WORKED = frozenset(
    {Outcome.LOST, Outcome.INTERRUPTED, Outcome.KILLED, Outcome.PARKED, Outcome.TASK_ERROR}
)


def earlier_run(tx: Tx, task: TaskRecord) -> Earlier | None:
    """The last attempt of the task that began, and did something or may have: one whose login was
    refused at once left nothing behind."""
    used = money_store.usage_of_task(tx.conn, task.id)
    began = [
        attempt
        for attempt in attempts.of_task(tx.conn, task.id)
        if attempt.started_at is not None
        and (attempt.outcome in _MAY_HAVE_WORKED or used.get(attempt.fence))
    ]
    if not began:
        return None
    last = began[-1]
    return Earlier(node=last.node, outcome=last.outcome or "", error=last.error)


def _resume(tx: Tx, task: TaskRecord) -> ResumeAnswer | None:
    if task.resume_approval is None:
        return None
    found = approvals.find(tx.conn, task.resume_approval)
    if found is None:
        return None
    approved = found.state is ApprovalState.APPROVED
    return ResumeAnswer(
        code=found.code,
        decision=Decision.APPROVE if approved else Decision.DENY,
        tool=found.tool,
        detail=found.detail,
        digest=found.digest,
        note=found.note,
        answer=found.answer,
    )


def take_back(
    tx: Tx, env: Env, task: TaskRecord, attempt: AttemptRecord, move: Move, cause: Cause
) -> TaskRecord:
    """T6: a lease that never started; the attempt does not count."""
    outcome = "released" if move is Move.RELEASE else "not_started"
    ending.end_attempt(tx, env, attempt, outcome, classed=None)
    return journal.move_task(
        tx,
        env,
        task,
        move,
        cause,
        detail={"node": attempt.node, "fence": attempt.fence},
        attempt=max(task.attempt - 1, 0),
        wait_reason="given back by its node",
    )
