"""Recording questions and their one answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from common.choices import NoSuchChoiceError, picked
from common.clock import to_datetime_or_none
from common.wire.approvals import ApprovalKind, ApprovalState, Decision, Reach, Risk
from common.wire.nodes import Ask
from common.wire.tasks import TaskState
from hubd.domain import approvals as rules
from hubd.domain import grants, money, places, replies
from hubd.domain.codes import new_code
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import ApprovalRecord, AttemptRecord, GrantRecord, TaskRecord
from hubd.errors import AlreadyAnsweredError, ConflictError, InvalidError
from hubd.services import journal
from hubd.services.env import Env
from hubd.store import approvals, nodes, tasks
from hubd.store import money as money_store
from hubd.store.transaction import Tx

IN_FLIGHT = (ApprovalKind.TOOL, ApprovalKind.QUESTION)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer as a person gave it."""

    decision: Decision
    by: str
    via: str
    note: str | None = None
    answer: str | None = None
    scope: Reach = Reach.ONCE


def record_question(tx: Tx, env: Env, approval: ApprovalRecord) -> ApprovalRecord:
    """Give a question its code, store it and send it to its thread."""
    code = new_code(approvals.taken_codes(tx.conn), env.rng)
    approval = replace(approval, code=code, asked_at=tx.now)
    approval = replace(approval, id=approvals.insert(tx.conn, approval))
    journal.save_approval(tx, approval, "approval.asked")
    journal.ask_in_chat(tx, env, approval)
    return approval


def gate_question(env: Env, task: TaskRecord) -> ApprovalRecord:
    """The question a gated task waits for; its digest covers everything that will run."""
    details = [
        ("specialist", task.specialist and f"@{task.specialist}"),
        ("node", task.pinned_node),
        ("project", task.project and f"{task.project}{'@' + task.branch if task.branch else ''}"),
        ("cap", task.max_cost_usd and replies.dollars(task.max_cost_usd)),
    ]
    facts = [f"{name}: {value}" for name, value in details if value]
    return ApprovalRecord(
        id=0,
        code="",
        kind=ApprovalKind.GATE,
        summary=replies.beginning(replies.clean(task.prompt), 2, 300),
        asked_at=0.0,
        task_id=task.id,
        detail="\n".join([*facts, task.prompt]),
        digest=rules.task_digest(task),
        risk=rules.risk_of(task.prompt, env.config.approval),
        chat=task.conversation,
    )


def ask_in_flight(
    tx: Tx, env: Env, attempt: AttemptRecord, task: TaskRecord, request: Ask
) -> ApprovalRecord:
    """A question from inside a running attempt; the same `ask_id` gives the same approval."""
    if request.ask_id is not None:
        known = approvals.find_ask(tx.conn, attempt.fence, request.ask_id)
        if known is not None:
            return known
    if request.kind not in (ApprovalKind.TOOL, ApprovalKind.QUESTION):
        raise InvalidError(f"kind must be tool or question, not {request.kind!r}")
    kind = ApprovalKind(request.kind)
    risky = request.risk == Risk.HIGH or (
        kind is ApprovalKind.TOOL
        and rules.risk_of(f"{request.summary}\n{request.detail}", env.config.approval) is Risk.HIGH
    )
    asked = ApprovalRecord(
        id=0,
        code="",
        kind=kind,
        summary=request.summary,
        asked_at=0.0,
        task_id=task.id,
        fence=attempt.fence,
        node=attempt.node,
        ask_id=request.ask_id,
        tool=request.tool,
        detail=request.detail,
        choices=tuple(request.choices),
        digest=rules.question_digest(task.id, kind, request.tool, request.detail, request.rules),
        risk=Risk.HIGH if risky else Risk.NORMAL,
        chat=task.conversation,
        rules=tuple(request.rules),
    )
    grant = grants.answering(task, asked)
    return (
        record_question(tx, env, asked) if grant is None else _record_granted(tx, env, asked, grant)
    )


def _record_granted(tx: Tx, env: Env, asked: ApprovalRecord, grant: GrantRecord) -> ApprovalRecord:
    """A question that nobody needs to see: its answer was given with another."""
    answered = replace(
        asked,
        code=new_code(approvals.taken_codes(tx.conn), env.rng),
        asked_at=tx.now,
        delivered=True,  # the node has it as the answer to its question
        **_granted(tx, grant),
    )
    answered = replace(answered, id=approvals.insert(tx.conn, answered))
    detail = {"by": grant.granted_by, "via": grants.VIA, "grant": grant.code}
    journal.save_approval(tx, answered, "approval.approved", detail)
    return answered


def _granted(tx: Tx, grant: GrantRecord) -> dict[str, Any]:
    return {
        "state": ApprovalState.APPROVED,
        "answered_at": tx.now,
        "answered_by": grant.granted_by,
        "answered_via": grants.VIA,
        "note": f"y {grant.code} all",
    }


def ask_budget(tx: Tx, env: Env, day: str, spent_usd: float, cap_usd: float) -> None:
    """The day's cap is reached: ask once whether to go on."""
    if any(a.kind is ApprovalKind.BUDGET and a.day == day for a in approvals.pending(tx.conn)):
        return
    record_question(
        tx,
        env,
        ApprovalRecord(
            id=0,
            code="",
            kind=ApprovalKind.BUDGET,
            summary=(
                f"Today cost {replies.dollars(spent_usd)} of {replies.dollars(cap_usd)}. "
                f"Go on for another {replies.dollars(env.config.budget.per_day_usd)}?"
            ),
            asked_at=0.0,
            day=day,
        ),
    )


def answer(tx: Tx, env: Env, approval: ApprovalRecord, verdict: Verdict) -> ApprovalRecord:
    """Record the first answer and do what it says; raises AlreadyAnsweredError for any other, and
    InvalidError for a yes to more than may be given."""
    if verdict.scope is Reach.TASK:
        _refuse_scope(approval, verdict)
    verdict = _with_choices(approval, verdict)
    answered = replace(
        approval,
        state=(
            ApprovalState.APPROVED if verdict.decision is Decision.APPROVE else ApprovalState.DENIED
        ),
        answered_at=tx.now,
        answered_by=verdict.by,
        answered_via=verdict.via,
        note=verdict.note,
        answer=verdict.answer,
        scope=verdict.scope,
    )
    if not approvals.answer(tx.conn, answered):
        raise already_answered(approvals.find(tx.conn, approval.id) or approval)
    detail: dict[str, Any] = {"by": verdict.by, "via": verdict.via}
    journal.save_approval(tx, answered, f"approval.{answered.state.value}", detail)
    if verdict.scope is Reach.TASK:
        _grant(tx, env, answered)
    match approval.kind:
        case ApprovalKind.GATE:
            _answer_gate(tx, env, answered)
        case ApprovalKind.BUDGET:
            _answer_budget(tx, env, answered)
        case ApprovalKind.TOOL | ApprovalKind.QUESTION:
            _answer_in_flight(tx, env, answered)
    return answered


def _with_choices(approval: ApprovalRecord, verdict: Verdict) -> Verdict:
    """Numbers and beginnings mean their choices, however they came."""
    if verdict.answer is None or not approval.choices:
        return verdict
    try:
        return replace(verdict, answer=picked(approval.choices, verdict.answer))
    except NoSuchChoiceError:
        listed = "\n".join(replies.choice_lines(approval))
        raise InvalidError(
            f"{approval.code} has no such choice. Answer y {approval.code} and a number:\n{listed}"
        ) from None


def _refuse_scope(approval: ApprovalRecord, verdict: Verdict) -> None:
    if verdict.decision is not Decision.APPROVE:
        raise InvalidError(f"a no is for {approval.code} alone; only a yes can be for all")
    if (why := grants.why_not(approval)) is not None:
        raise InvalidError(why)


def _grant(tx: Tx, env: Env, approval: ApprovalRecord) -> None:
    """Keep the yes with its task, and let it answer what already waits there."""
    task = _task_of(tx, approval)
    grant = grants.grant_of(approval, by=approval.answered_by or "", now=tx.now)
    granted = replace(task, grants=grants.with_grant(task, grant), updated_at=tx.now)
    detail = {"code": grant.code, "what": grant.what, "by": grant.granted_by}
    journal.save_task(tx, env, task, granted, "task.granted", detail)
    for other in approvals.pending(tx.conn):
        if other.id != approval.id and grants.answering(granted, other) is not None:
            verdict = Verdict(
                Decision.APPROVE, grant.granted_by, grants.VIA, note=f"y {grant.code} all"
            )
            answer(tx, env, other, verdict)


def revoke(tx: Tx, env: Env, task: TaskRecord, by: str) -> TaskRecord:
    """Take back what was allowed for the rest of a task; what was answered stays answered."""
    if not task.grants:
        raise ConflictError(f"#{task.id} has no standing yes to take back")
    detail = {"by": by, "codes": [grant.code for grant in task.grants]}
    bare = replace(task, grants=(), updated_at=tx.now)
    return journal.save_task(tx, env, task, bare, "task.revoked", detail)


def already_answered(approval: ApprovalRecord) -> AlreadyAnsweredError:
    """Its `answered_at` is written as the approval itself has it."""
    answered_at = to_datetime_or_none(approval.answered_at)
    return AlreadyAnsweredError(
        replies.answered(approval),
        detail={
            "state": approval.state.value,
            "answered_by": approval.answered_by or "",
            "answered_via": approval.answered_via or "",
            "answered_at": "" if answered_at is None else msgspec.to_builtins(answered_at),
        },
    )


def _task_of(tx: Tx, approval: ApprovalRecord) -> TaskRecord:
    task = None if approval.task_id is None else tasks.find(tx.conn, approval.task_id)
    if task is None:
        raise ConflictError(f"{approval.code} belongs to no task")
    return task


def _answer_gate(tx: Tx, env: Env, approval: ApprovalRecord) -> None:
    task = _task_of(tx, approval)
    detail = {"code": approval.code, "answered_by": approval.answered_by}
    if approval.state is ApprovalState.DENIED:
        error = approval.note or f"{approval.answered_by} said no"
        journal.move_task(
            tx, env, task, Move.DENY, Cause.PERSON, detail=detail, outcome="denied", error=error
        )
        return
    if rules.task_digest(task) != approval.digest:
        raise ConflictError(f"task #{task.id} is not what {approval.code} asked about")
    journal.move_task(
        tx, env, task, Move.APPROVE, Cause.PERSON, detail=detail, wait_reason="approved"
    )


def _answer_in_flight(tx: Tx, env: Env, approval: ApprovalRecord) -> None:
    """A parked task goes back to the queue with the answer; a running attempt is told by its
    next heartbeat."""
    task = _task_of(tx, approval)
    if task.state is TaskState.WAITING_APPROVAL and task.approval_code == approval.code:
        journal.move_task(
            tx,
            env,
            task,
            Move.RESUME_PARKED,
            Cause.PERSON,
            detail={"code": approval.code},
            resume_approval=approval.id,
            wait_reason="answered",
            **_waits_for_its_node(tx, env, task),
        )


def _waits_for_its_node(tx: Tx, env: Env, task: TaskRecord) -> dict[str, Any]:
    """The answer belongs to the session, so it waits for the node of the session; a stated time,
    but for a follow-up."""
    if not task.sticky or task.session_node is None or task.continue_of is not None:
        return {}
    node = nodes.find(tx.conn, task.session_node)
    leaving = None if node is None else node.leaving
    return {
        "wait_until": places.wait_until(tx.now, leaving, env.config.hub),
        "wait_told": False,
    }


def _answer_budget(tx: Tx, env: Env, approval: ApprovalRecord) -> None:
    today = money.day_of(tx.now, env.zone)
    if approval.state is ApprovalState.APPROVED and approval.day == today:
        money_store.lift(tx.conn, today, env.config.budget.per_day_usd)
        journal.emit_spend(tx, env, "spend.lifted")
