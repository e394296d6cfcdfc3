"""Answers by text: bare, with a code, inline, or as a tapback on the question."""

from __future__ import annotations

from common.wire.approvals import ApprovalKind, ApprovalState, Decision
from common.wire.messages import MessageState
from hubd.domain import approvals as rules
from hubd.domain import commands, reactions, replies
from hubd.domain.approvals import Pending, Refused
from hubd.domain.commands import Command
from hubd.domain.records import ApprovalRecord
from hubd.services import asking
from hubd.services.asking import Verdict
from hubd.services.env import Env
from hubd.services.texts import Effect, Text
from hubd.store import approvals, conversation
from hubd.store.transaction import Tx


def standing(tx: Tx, approval: ApprovalRecord, chat: str) -> Pending:
    """Where a question stands in a thread: only a bubble known to be sent counts as asked."""
    for row in conversation.questions(tx.conn, approval.id):
        if row.chat == chat and row.state == MessageState.SENT:
            return Pending(approval, True, row.row_order)
    return Pending(approval, False)


def answer_text(tx: Tx, env: Env, text: Text, command: commands.Answer) -> Effect:
    """`y`, `n`, `y K7`, `n K7 why`."""
    pending = approvals.pending(tx.conn)
    if command.code is not None:
        found = approvals.find_code(tx.conn, command.code)
        return _act(tx, env, text, rules.resolve_code(found), command, found)
    if text.about_approval is not None:
        found = approvals.find(tx.conn, text.about_approval)
        if found is not None:
            resolved = rules.resolve_reference(found, command.decision)
            return _act(tx, env, text, resolved, command, found)
    stand = [standing(tx, approval, text.chat) for approval in pending]
    resolved = rules.resolve_bare(stand, command.decision, text.order)
    return _act(tx, env, text, resolved, command, None)


def answer_tapback(tx: Tx, env: Env, text: Text) -> Effect:
    """A reaction to an open question answers it, or is asked about; elsewhere it says nothing."""
    reaction = text.tapback or ""
    decision = reactions.meaning(reaction)
    found = None if text.about_approval is None else approvals.find(tx.conn, text.about_approval)
    if found is None:
        return Effect()
    if decision is None:
        if found.state is not ApprovalState.PENDING:
            return Effect()
        reply = replies.unclear_reaction(found, reactions.shown(reaction))
        return Effect(reply=reply, task_id=found.task_id)
    resolved = rules.resolve_reference(found, decision)
    return _act(tx, env, text, resolved, commands.Answer(decision), found)


def answer_inline(tx: Tx, env: Env, text: Text, command: Command) -> Effect | None:
    """Free text as an inline reply to an open question is its answer; None for other commands."""
    found = approvals.find(tx.conn, text.about_approval or 0)
    if found is None or not isinstance(command, commands.Work):
        return None
    if found.state is ApprovalState.PENDING and found.kind is ApprovalKind.QUESTION:
        said = commands.Answer(Decision.APPROVE, found.code, text.text.strip())
        return _act(tx, env, text, rules.resolve_code(found), said, found)
    if found.state is ApprovalState.PENDING:
        hint = f"y {found.code} or n {found.code} answers it."
        return Effect(reply=hint, task_id=found.task_id)
    return None


def _act(
    tx: Tx,
    env: Env,
    text: Text,
    resolved: rules.Answer,
    command: commands.Answer,
    found: ApprovalRecord | None,
) -> Effect:
    if resolved.approval is None:
        return _explain(tx, resolved.refused or Refused.UNKNOWN_CODE, found)
    approval = resolved.approval
    is_question = approval.kind is ApprovalKind.QUESTION
    said = command.note if is_question else None
    verdict = Verdict(
        command.decision,
        by=text.sender,
        via=text.via,
        note=None if is_question and command.decision is Decision.APPROVE else command.note,
        answer=said,
        scope=command.scope,
    )
    answered = asking.answer(tx, env, approval, verdict)
    ends_task = approval.kind is ApprovalKind.GATE and command.decision is Decision.DENY
    silent = ends_task and approval.chat == text.chat  # the task's final reply says so
    return Effect(
        reply=None if silent else replies.decided(answered, command.decision),
        task_id=approval.task_id,
        approval_id=approval.id,
    )


def _explain(tx: Tx, refused: Refused, found: ApprovalRecord | None) -> Effect:
    if refused is Refused.ALREADY_ANSWERED and found is not None:
        return Effect(reply=replies.answered(found), task_id=found.task_id)
    if refused is Refused.NEEDS_CODE and found is not None:
        return Effect(reply=replies.not_decided(refused, [found]), task_id=found.task_id)
    return Effect(reply=replies.not_decided(refused, approvals.pending(tx.conn)))
