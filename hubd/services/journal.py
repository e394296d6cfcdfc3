"""Every change of a record goes through here: row, event and, at a task's end, its reply.

They share the caller's transaction, so none of them can be missing (one transition, one event,
one final reply).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from common.clock import to_datetime
from common.wire.admin import Hold, Spend
from common.wire.approvals import ApprovalState
from common.wire.events import Entity
from common.wire.messages import Bridge, Message, MessageState
from common.wire.nodes import AccountState, BreakerState
from common.wire.tasks import TERMINAL_STATES, TaskState
from hubd.domain import grants, money, replies
from hubd.domain.lifecycle import EDGES, Cause, Move, advance
from hubd.domain.records import (
    AccountRecord,
    ApprovalRecord,
    AttemptRecord,
    BreakerRecord,
    NodeRecord,
    TaskRecord,
)
from hubd.services import present
from hubd.services.env import Env
from hubd.store import approvals, conversation, meta, nodes, tasks
from hubd.store import money as money_store
from hubd.store.conversation import InboundRow, OutboxRow
from hubd.store.transaction import Tx, View

CONTROL_CHAT = "control"
"""The thread of an operator who types where no phone was heard yet; nothing leaves it."""

Detail = dict[str, Any]


def move_task(
    tx: Tx,
    env: Env,
    task: TaskRecord,
    move: Move,
    cause: Cause,
    *,
    detail: Detail | None = None,
    **changes: Any,
) -> TaskRecord:
    """Take one edge of the lifecycle; raises ForbiddenTransitionError when there is none."""
    moved = advance(task, move, cause, now=tx.now, **changes)
    detail = {"from": task.state.value, "by": cause.value} | (detail or {})
    return save_task(tx, env, task, moved, EDGES[move].event, detail)


def save_task(
    tx: Tx, env: Env, was: TaskRecord, task: TaskRecord, type_: str, detail: Detail
) -> TaskRecord:
    """Write a changed task with its event; entering a terminal state also queues its reply."""
    tasks.update(tx.conn, was, task)
    tx.emit(type_, Entity.TASK, str(task.id), present.task(task), detail)
    if task.state in TERMINAL_STATES and was.state not in TERMINAL_STATES:
        withdraw_questions(tx, task)
        reply_final(tx, env, task, detail)
    asks = task.state is TaskState.NEEDS_ATTENTION and was.state is not task.state
    if asks and task.conversation is not None:
        text = replies.asks_to_continue(task)
        queue_text(tx, env, "notice", task.conversation, text, task_id=task.id)
    return task


def reply_final(tx: Tx, env: Env, task: TaskRecord, detail: Detail) -> None:
    """Queue the one reply that says how a task ended (I6)."""
    if task.conversation is None:
        return
    text = tasks.result(tx.conn, task.id) or ""
    text = replies.mask_codes(text, {a.code for a in approvals.pending(tx.conn)})
    reply, shown = replies.final(task, text, by=detail.get("answered_by"))
    queue_text(tx, env, "final", task.conversation, reply, task_id=task.id)
    conversation.set_shown(tx.conn, task.conversation, task.id, shown)


def queue_text(
    tx: Tx,
    env: Env,
    kind: str,
    chat: str,
    text: str,
    *,
    task_id: int | None = None,
    approval: ApprovalRecord | None = None,
) -> OutboxRow:
    """Put a text into the outbox; one for a thread that may not be written to fails at once, and
    one for the control centre is read where the line was typed."""
    here = chat == CONTROL_CHAT
    allowed = here or env.may_receive(chat, conversation.chat_sender(tx.conn, chat))
    waits = MessageState.SENT if here else MessageState.PENDING
    row = OutboxRow(
        id=0,
        kind=kind,
        chat=chat,
        text=text,
        state=(waits if allowed else MessageState.FAILED).value,
        created_at=tx.now,
        updated_at=tx.now,
        task_id=task_id,
        approval_id=None if approval is None else approval.id,
        error=None if allowed else "this thread is not on the allow list",
    )
    row = replace(row, id=conversation.insert_outbox(tx.conn, row))
    message = present.outbox(row, None if approval is None else approval.code)
    tx.emit("message.queued", Entity.MESSAGE, message.id, message, {"kind": kind})
    return row


def save_outbox(tx: Tx, row: OutboxRow, type_: str) -> None:
    conversation.update_outbox(tx.conn, row)
    message = outbox_message(tx, row)
    tx.emit(type_, Entity.MESSAGE, message.id, message, {"kind": row.kind})


def outbox_message(source: Tx | View, row: OutboxRow) -> Message:
    asked = None if row.approval_id is None else approvals.find(source.conn, row.approval_id)
    return present.outbox(row, None if asked is None else asked.code)


def emit_inbound(tx: Tx, row: InboundRow, type_: str = "message.received") -> None:
    message = present.inbound(row)
    tx.emit(type_, Entity.MESSAGE, message.id, message)


def owner_chat(tx: Tx) -> str | None:
    """Where to write when no thread asked: the last one that was heard from."""
    return conversation.last_chat(tx.conn)


def ask_in_chat(tx: Tx, env: Env, approval: ApprovalRecord) -> None:
    """Send a question to the thread it belongs to, or else to the owner's last one."""
    chat = approval.chat or owner_chat(tx)
    if chat is not None:
        known = () if approval.task_id is None else approvals.of_task(tx.conn, approval.task_id)
        text = replies.question(approval, offers_all=grants.is_offered(approval, known))
        queue_text(tx, env, "question", chat, text, task_id=approval.task_id, approval=approval)


def notify_owner(tx: Tx, env: Env, text: str) -> None:
    chat = owner_chat(tx)
    if chat is not None:
        queue_text(tx, env, "notice", chat, text)


def save_approval(
    tx: Tx, approval: ApprovalRecord, type_: str, detail: Detail | None = None
) -> None:
    """Emit an approval that was inserted or answered."""
    tx.emit(type_, Entity.APPROVAL, str(approval.id), present.approval(approval), detail)


def withdraw_questions(tx: Tx, task: TaskRecord) -> None:
    """A task that ended needs no answers any more."""
    for approval in approvals.of_task(tx.conn, task.id):
        withdraw(tx, approval)


def withdraw_asked(tx: Tx, attempt: AttemptRecord, *, but: int | None = None) -> None:
    """An attempt that is over can take no answer, except to the question `but` it parked for."""
    for approval in approvals.of_task(tx.conn, attempt.task_id):
        if approval.fence == attempt.fence and approval.id != but:
            withdraw(tx, approval)


def withdraw(tx: Tx, approval: ApprovalRecord) -> None:
    withdrawn = replace(approval, state=ApprovalState.WITHDRAWN, answered_at=tx.now)
    if approvals.answer(tx.conn, withdrawn):
        save_approval(tx, withdrawn, "approval.withdrawn")


def save_node(tx: Tx, node: NodeRecord, type_: str, detail: Detail | None = None) -> None:
    nodes.save(tx.conn, node)
    its_breaker = nodes.breaker(tx.conn, node.name)
    tx.emit(type_, Entity.NODE, node.name, present.node(node, its_breaker), detail)


def save_breaker(
    tx: Tx, env: Env, was: BreakerRecord, breaker: BreakerRecord, detail: Detail | None = None
) -> None:
    """Store a breaker that changed, with its evidence; tell the owner of a second opening."""
    if breaker == was:
        return
    nodes.save_breaker(tx.conn, breaker)
    node = nodes.find(tx.conn, breaker.node)
    if node is None or present.breaker(breaker) == present.breaker(was):
        return
    type_ = "breaker.counted"
    if breaker.state is not was.state:
        type_ = {
            BreakerState.OPEN: "breaker.opened",
            BreakerState.HALF_OPEN: "breaker.half_opened",
            BreakerState.CLOSED: "breaker.closed",
        }[breaker.state]
    evidence = {"from": was.state.value, "evidence": list(breaker.evidence)} | (detail or {})
    tx.emit(type_, Entity.NODE, node.name, present.node(node, breaker), evidence)
    if type_ == "breaker.opened" and breaker.opens == 2 and breaker.until is not None:
        pause_s = breaker.until - tx.now
        text = replies.breaker_notice(node.name, breaker.reason or "", pause_s, breaker.opens)
        notify_owner(tx, env, text)


def save_account(
    tx: Tx,
    was: AccountRecord | None,
    account: AccountRecord,
    detail: Detail | None = None,
) -> None:
    """Store a row of the accounts that changed, with its event."""
    if account == was:
        return
    nodes.save_account(tx.conn, account)
    if was is not None and present.account(account) == present.account(was):
        return
    type_ = f"account.{account.state.value}"
    tx.emit(type_, Entity.ACCOUNT, account.name, present.account(account), detail)


def notice_account(tx: Tx, env: Env, was: AccountRecord | None, account: AccountRecord) -> None:
    """Tell the owner once of each trouble: not again of one that a first task met again."""
    before = AccountState.OK if was is None else was.state
    again = was is not None and (was.restarting or account.state is before)
    if account.state is not AccountState.OK and not again:
        notify_owner(tx, env, replies.account_notice(account, tx.now))


def get_hold(source: Tx | View) -> Hold:
    stored = meta.get(source.conn, "hold")
    return Hold() if stored is None else msgspec.json.decode(stored, type=Hold)


def set_hold(tx: Tx, on: bool, reason: str | None, by: str) -> Hold:
    hold = Hold(on=on, reason=reason if on else None, by=by, at=to_datetime(tx.now))
    meta.put(tx.conn, "hold", msgspec.json.encode(hold).decode())
    tx.emit("hold.set" if on else "hold.lifted", Entity.HOLD, "hold", hold, {"by": by})
    return hold


def get_bridge(source: Tx | View) -> Bridge:
    stored = meta.get(source.conn, "bridge")
    return Bridge() if stored is None else msgspec.json.decode(stored, type=Bridge)


def spend_of(source: Tx | View, env: Env) -> Spend:
    """Today's spend with its cap."""
    spend, lifted = money_store.day(source.conn, money.day_of(source.now, env.zone))
    cap = env.config.budget.per_day_usd
    if cap <= 0:
        return spend
    return msgspec.structs.replace(
        spend, cap_usd=cap + lifted, capped=money.is_capped(spend.cost_usd, cap, lifted)
    )


def emit_spend(tx: Tx, env: Env, type_: str) -> Spend:
    spend = spend_of(tx, env)
    tx.emit(type_, Entity.SPEND, spend.day, spend)
    return spend
