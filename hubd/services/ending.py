"""Ending attempts: what it cost, what it says of node and account, what becomes of the task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from common.clock import to_epoch
from common.model_class import model_class
from common.wire.approvals import ApprovalState
from common.wire.nodes import PostResult
from common.wire.tasks import LIVE_STATES, Outcome, TaskState
from hubd.domain import accounts, breaker, dispatch, places, replies, retry
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import AccountRecord, AttemptRecord, NodeRecord, TaskRecord
from hubd.errors import ConflictError, ForbiddenError, InvalidError
from hubd.services import asking, booking, journal
from hubd.services.env import Env
from hubd.store import approvals, attempts, nodes, output, tasks
from hubd.store import money as money_store
from hubd.store.transaction import Tx

PAUSING = accounts.TROUBLE


@dataclass(frozen=True, slots=True)
class Posted:
    """`applied`, `duplicate`, or `fenced` (then the caller answers 409 after the commit)."""

    status: str
    task_id: int | None = None


def own_attempt(tx: Tx, fence: int, node: str) -> AttemptRecord | None:
    """None for a fence nobody knows; raises ForbiddenError for another node's (I18)."""
    attempt = attempts.find(tx.conn, fence)
    if attempt is not None and attempt.node != node:
        raise ForbiddenError(f"attempt {fence} does not belong to {node}")
    return attempt


def current_task(tx: Tx, attempt: AttemptRecord) -> TaskRecord | None:
    """The attempt's task while this fence is the one that counts (I4)."""
    task = tasks.find(tx.conn, attempt.task_id)
    if task is None or task.fence != attempt.fence or task.state not in LIVE_STATES:
        return None
    return task


def post_result(tx: Tx, env: Env, fence: int, node: str, request: PostResult) -> Posted:
    """A node's result (T7 to T10). What it cost is recorded whoever the fence belongs to now."""
    attempt = own_attempt(tx, fence, node)
    if attempt is None:
        return Posted("fenced")
    if attempt.result_hash is not None:
        return Posted("duplicate", attempt.task_id)
    task = current_task(tx, attempt)
    if task is None:
        _record_cost_only(tx, env, attempt, request)
        return Posted("fenced", attempt.task_id)
    if task.state is TaskState.LEASED:
        raise ConflictError("a result before the start: post /start first and wait for its answer")
    request = booking.judged(attempt, task, request)
    booking.book_result(tx, env, attempt, task, request, fenced=False)
    if request.outcome == Outcome.PARKED and not (task.cancel_requested or is_moved(task)):
        _park(tx, env, attempt, task, request)
    else:
        _finish(tx, env, attempt, task, request)
    return Posted("applied", task.id)


def _finish(
    tx: Tx,
    env: Env,
    attempt: AttemptRecord,
    task: TaskRecord,
    request: PostResult,
) -> None:
    outcome = retry.classify(request.outcome)
    if outcome is Outcome.PARKED:
        outcome = Outcome.KILLED  # a stop or a move reached it first
    resets_at = None if request.resets_at is None else to_epoch(request.resets_at)
    account = end_attempt(
        tx, env, attempt, request.outcome, request=request, resets_at=resets_at, classed=outcome,
        task=task,
    )  # fmt: skip
    fate = retry.after_result(
        task,
        outcome,
        now=tx.now,
        max_attempts=env.config.hub.max_attempts,
        account_until=_account_until(account) if outcome in PAUSING else None,
        rng=env.rng,
        final=request.final,
        capped=retry.known_cap(request.capped),
        turn_rounds=env.config.hub.turn_rounds,
        spent_usd=money_store.of_task(tx.conn, task.id)["cost_usd"] or 0.0,
    )
    if request.text:
        tasks.set_result(tx.conn, task.id, request.text)
    changes = _task_changes(tx, task, attempt, request)
    changes |= _wait_changes(tx, env, task, attempt, fate, outcome, account, request)
    changes |= fate.changes
    detail = {"outcome": request.outcome, "node": attempt.node, "fence": attempt.fence}
    journal.move_task(tx, env, task, fate.move, Cause.NODE, detail=detail, **changes)


def _task_changes(
    tx: Tx, task: TaskRecord, attempt: AttemptRecord, request: PostResult
) -> dict[str, Any]:
    return {
        "outcome": request.outcome,
        "error": request.error,
        "notices": _notices(request),
        "summary": replies.summary_of(request.text) if request.text else None,
        "last_node": attempt.node,
        "resume_approval": None,
        **_session(task, attempt, request),
        **money_store.of_task(tx.conn, task.id),
    }


def _notices(request: PostResult) -> str:
    return msgspec.json.encode(request.notices).decode()


def _session(task: TaskRecord, attempt: AttemptRecord, request: PostResult) -> dict[str, Any]:
    if request.session_id is None:
        return {}
    return {"session_id": request.session_id, "session_node": attempt.node}


def must_stay(task: TaskRecord) -> bool:
    """Whether a task that runs again still needs the session it was meant to continue."""
    return task.sticky and task.continue_of is not None


def is_moved(task: TaskRecord) -> bool:
    """Whether a person wants it away from the node on which it is."""
    return task.node is not None and task.avoid_node == task.node


def held_place(
    tx: Tx, env: Env, task: TaskRecord, node: str, *, keeps: bool, start: float
) -> dict[str, Any]:
    """Whether a task that can run again from `start` on waits for `node`, and how long. A
    follow-up makes no sense without its session: it waits until a person says otherwise."""
    if is_moved(task):
        return {"sticky": False, "wait_until": None}
    if must_stay(task):
        return {"sticky": True, "wait_until": None}
    if not keeps or task.pinned_node is not None:
        return {"sticky": False, "wait_until": None}
    record = nodes.find(tx.conn, node)
    until = places.wait_until(start, record.leaving if record else None, env.config.hub)
    return {"sticky": True, "wait_until": until, "wait_told": False}


def _wait_changes(
    tx: Tx,
    env: Env,
    task: TaskRecord,
    attempt: AttemptRecord,
    fate: retry.Fate,
    outcome: Outcome,
    account: AccountRecord | None,
    request: PostResult,
) -> dict[str, Any]:
    """What a task that goes back to the queue waits for, and where."""
    if fate.move not in (Move.BACK_OFF, Move.GIVE_BACK, Move.LOST, Move.HOLD):
        return {}
    progressed = bool(request.cost_usd) or any(
        used.output_tokens or used.input_tokens for used in request.usage
    )
    ran = progressed or any((request.session_id, request.runner, request.text))
    keeps = places.keeps_place(outcome, ran=ran, progressed=progressed)
    start = max(tx.now, fate.changes.get("not_before") or tx.now)
    if outcome is Outcome.NEEDS_LOGIN or (account is not None and account.node is not None):
        # Another machine may take it. One that had done something waits for its own machine's
        # first try, which a renewed token passes; after that it is not worth more waiting.
        tried = account is not None and account.pauses > 1
        keeps = not tried and output.used_tool(tx.conn, attempt.fence)
    held = held_place(tx, env, task, attempt.node, keeps=keeps, start=start)
    if fate.move is Move.GIVE_BACK and outcome in PAUSING and account is not None:
        return {"wait_reason": f"{accounts.title(account)}: {account.reason}"} | held
    if fate.move is Move.HOLD:
        return {"wait_reason": request.error or "one of its limits was reached"} | held
    words = {
        Outcome.NODE_FAULT: "its node failed",
        Outcome.TASK_ERROR: "failed once",
        Outcome.INTERNAL: "failed inside mesh-agentd",
    }
    return {"wait_reason": words.get(outcome, f"was {outcome.value}")} | held


def _account_until(account: AccountRecord | None) -> float | None:
    """When a refused task may run again; trouble of one machine names no time for the others."""
    return account.paused_until if account is not None and account.node is None else None


def _park(
    tx: Tx,
    env: Env,
    attempt: AttemptRecord,
    task: TaskRecord,
    request: PostResult,
) -> None:
    """T10: the attempt ends and frees its slot; the task waits for the answer, or, when that
    came in the meantime, goes on with it at once."""
    code = request.approval_code
    question = None if code is None else approvals.find_code(tx.conn, code)
    if question is None or question.task_id != task.id or question.kind not in asking.IN_FLIGHT:
        raise InvalidError("a parked attempt must name the approval_code of a question it asked")
    if question.state is ApprovalState.WITHDRAWN:
        raise ConflictError(f"{question.code} was withdrawn")
    end_attempt(
        tx, env, attempt, Outcome.PARKED, request=request, classed=Outcome.PARKED,
        parked_for=question.id,
    )  # fmt: skip
    changes = _task_changes(tx, task, attempt, request) | retry.given_back(task)
    changes |= {"error": None, "approval_code": question.code}
    keeps = "session_id" in changes or task.session_id is not None
    # How long it waits for its node counts from the answer on, not from the question.
    changes |= {"sticky": keeps, "wait_until": None}
    detail = {"code": question.code, "node": attempt.node, "fence": attempt.fence}
    parked = journal.move_task(
        tx,
        env,
        task,
        Move.PARK,
        Cause.NODE,
        detail=detail,
        **changes,
        wait_reason=f"waits for your answer to {question.code}",
    )
    if question.state is not ApprovalState.PENDING:
        journal.move_task(
            tx,
            env,
            parked,
            Move.RESUME_PARKED,
            Cause.PERSON,
            detail=detail,
            resume_approval=question.id,
            wait_reason="answered",
            **held_place(tx, env, parked, attempt.node, keeps=parked.sticky, start=tx.now),
        )


def end_attempt(
    tx: Tx,
    env: Env,
    attempt: AttemptRecord,
    outcome: str,
    *,
    classed: Outcome | None,
    request: PostResult | None = None,
    resets_at: float | None = None,
    evidence: str = "",
    parked_for: int | None = None,
    task: TaskRecord | None = None,
) -> AccountRecord | None:
    """Close an attempt and let breaker and account hear of it; `classed` None says nothing of
    either. Its questions are withdrawn, but for the one whose answer the task is `parked_for`.
    Returns the row of the accounts that was refused, if any."""
    ended = replace(attempt, ended_at=tx.now, lease_until=None, outcome=outcome)
    if request is not None:
        ended = replace(
            ended,
            error=request.error,
            session_id=request.session_id or attempt.session_id,
            runner=request.runner or attempt.runner,
            cost_usd=request.cost_usd,
            partial=request.partial,
            notices=_notices(request),
            result_hash=hashlib.sha256(msgspec.json.encode(request)).hexdigest(),
        )
        evidence = evidence or request.error or outcome
    attempts.update(tx.conn, ended)
    journal.withdraw_asked(tx, attempt, but=parked_for)
    _tell_breaker(tx, env, attempt, classed, f"#{attempt.task_id}: {evidence or outcome}"[:300])
    if classed in breaker.HEALTHY or classed is Outcome.NODE_FAULT:
        _count_success(tx, attempt.node, ok=classed in breaker.HEALTHY)
    report = _report(tx, attempt, classed, resets_at, request, task)
    return _tell_accounts(tx, env, report)


def _tell_breaker(
    tx: Tx, env: Env, attempt: AttemptRecord, classed: Outcome | None, evidence: str
) -> None:
    was = nodes.breaker(tx.conn, attempt.node)
    if classed is None:
        now_is = breaker.free_probe(was, attempt.fence, tx.now)
    else:
        now_is = breaker.on_outcome(
            was,
            attempt.fence,
            classed,
            tx.now,
            env.config.breaker,
            env.rng,
            evidence=replies.clean(evidence),
        )
    journal.save_breaker(tx, env, was, now_is, {"fence": attempt.fence})


def _count_success(tx: Tx, name: str, *, ok: bool) -> None:
    node = nodes.find(tx.conn, name)
    if node is not None:
        nodes.save(tx.conn, replace(node, success=dispatch.new_success(node.success, ok)))


def model_of(task: TaskRecord, node: NodeRecord | None) -> str | None:
    """The class of model a task runs on at a node, as far as the hub knows."""
    named = model_class(task.model)
    return named or (node.model_of(task.specialist) if node is not None else None)


def _report(
    tx: Tx,
    attempt: AttemptRecord,
    classed: Outcome | None,
    resets_at: float | None,
    request: PostResult | None,
    task: TaskRecord | None,
) -> accounts.Report:
    """What an attempt's end says of its account."""
    task = task or tasks.find(tx.conn, attempt.task_id)
    limited = None if request is None else model_class(request.limited_model)
    return accounts.Report(
        login=attempt.account,
        node=attempt.node,
        fence=attempt.fence,
        outcome=classed,
        model=None if task is None else model_of(task, nodes.find(tx.conn, attempt.node)),
        met=_met_provider(classed, request),
        scope=None if request is None else request.scope,
        limited_model=limited,
        resets_at=resets_at,
        reason=replies.clean((request.error if request else None) or "")[:200],
    )


def _met_provider(classed: Outcome | None, request: PostResult | None) -> bool:
    """Whether the provider answered: a folder that could not be made says nothing of a login."""
    if request is None or classed in PAUSING:
        return False
    used = any(u.input_tokens or u.output_tokens or u.cache_read_tokens for u in request.usage)
    return classed is Outcome.OK or used


def _tell_accounts(tx: Tx, env: Env, report: accounts.Report) -> AccountRecord | None:
    known = nodes.accounts_of(tx.conn, report.login)
    if not known and report.outcome not in PAUSING:
        return None
    settled = accounts.settle(known, report, tx.now, env.config.breaker, env.rng)
    outcome = report.outcome.value if report.outcome else None
    for row in settled.changed:
        detail = {"outcome": outcome, "node": report.node, "fence": report.fence}
        journal.save_account(tx, known.get(row.name), row, detail)
    refused = settled.refused
    if refused is not None:
        journal.notice_account(tx, env, known.get(refused.name), refused)
    return refused


def _record_cost_only(tx: Tx, env: Env, attempt: AttemptRecord, request: PostResult) -> None:
    """A stale result: the money was spent all the same."""
    task = tasks.find(tx.conn, attempt.task_id)
    booking.book_result(tx, env, attempt, task, request, fenced=True)
    if attempt.cost_usd is None and request.cost_usd is not None:
        attempts.update(
            tx.conn, replace(attempt, cost_usd=request.cost_usd, partial=request.partial)
        )
    if task is not None:
        booking.tell_task(tx, env, attempt, task)


def move_unstarted(tx: Tx, env: Env, task: TaskRecord, attempt: AttemptRecord) -> TaskRecord:
    """A move reached the task before its node spawned anything."""
    end_attempt(tx, env, attempt, Outcome.INTERRUPTED, classed=None)
    detail = {"node": attempt.node, "fence": attempt.fence}
    changes = retry.given_back(task) | {"sticky": False, "wait_until": None}
    return journal.move_task(
        tx, env, task, Move.GIVE_BACK, Cause.NODE, detail=detail, **changes,
        outcome=Outcome.INTERRUPTED.value, wait_reason="moved",
    )  # fmt: skip


def stop_unstarted(tx: Tx, env: Env, task: TaskRecord, attempt: AttemptRecord) -> TaskRecord:
    """T16: a stop reached the task before its node spawned anything."""
    end_attempt(tx, env, attempt, Outcome.KILLED, classed=None)
    detail = {"node": attempt.node, "fence": attempt.fence}
    return journal.move_task(
        tx, env, task, Move.KILLED, Cause.NODE, detail=detail, outcome=Outcome.KILLED.value
    )


def lose(
    tx: Tx,
    env: Env,
    task: TaskRecord,
    attempt: AttemptRecord,
    *,
    node_beats: bool,
    waits: bool,
    reason: str,
) -> TaskRecord:
    """T13: give an attempt up. Only a node that beats and lost it is at fault; `waits`: the node
    is there, and so is what the attempt did.

    A yes it went on with is spent: nobody knows whether the call was made, so the next attempt
    has to ask for it again.
    """
    classed = Outcome.NODE_FAULT if node_beats else None
    end_attempt(tx, env, attempt, Outcome.LOST, classed=classed, evidence=reason)
    booking.book_lost(tx, env, attempt, task)
    fate = retry.after_loss(task, moved=is_moved(task))
    return journal.move_task(
        tx,
        env,
        task,
        fate.move,
        Cause.HUB,
        detail={"reason": reason, "node": attempt.node, "fence": attempt.fence},
        **{
            "outcome": Outcome.LOST.value,
            "last_node": attempt.node,
            "wait_reason": "its node was lost",
            "resume_approval": None,
            "error": f"lost on {attempt.node}: {reason}",
            **money_store.of_task(tx.conn, task.id),
        }
        | held_place(tx, env, task, attempt.node, keeps=waits, start=tx.now)
        | fate.changes,
    )
