"""Records to the structs of the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from common.clock import to_datetime, to_datetime_or_none
from common.wire.admin import Token
from common.wire.approvals import Approval, Grant
from common.wire.messages import Message, MessageState
from common.wire.nodes import Account, Breaker, Node, NodeStatus
from common.wire.notices import Notice
from common.wire.tasks import Attempt, Task, Usage
from hubd.domain import grants, money
from hubd.domain.accounts import troubled
from hubd.domain.dispatch import is_fresh
from hubd.domain.records import (
    AccountRecord,
    ApprovalRecord,
    AttemptRecord,
    BreakerRecord,
    GrantRecord,
    NodeRecord,
    TaskRecord,
)
from hubd.store.conversation import InboundRow, OutboxRow
from hubd.store.tokens import TokenRow


def task(record: TaskRecord) -> Task:
    return Task(
        id=record.id,
        title=record.title,
        prompt=record.prompt,
        state=record.state,
        priority=record.priority,
        specialist=record.specialist,
        node=record.node or record.last_node or record.pinned_node,
        pinned_node=record.pinned_node,
        requires=list(record.requires),
        project=record.project,
        branch=record.branch,
        source=record.source,
        submitted_by=record.submitted_by,
        conversation=record.conversation,
        created_at=to_datetime(record.created_at),
        updated_at=to_datetime(record.updated_at),
        started_at=to_datetime_or_none(record.started_at),
        finished_at=to_datetime_or_none(record.finished_at),
        not_before=to_datetime_or_none(record.not_before),
        wait_reason=record.wait_reason,
        attempt=record.attempt,
        crashes=record.crashes,
        fence=record.fence,
        lease_until=to_datetime_or_none(record.lease_until),
        on_lost=record.on_lost,
        approval_code=record.approval_code,
        cancel_requested=record.cancel_requested,
        cancel_raced=record.cancel_raced,
        outcome=record.outcome,
        error=record.error,
        notices=notices(record.notices),
        summary=record.summary,
        session_id=record.session_id,
        session_node=record.session_node,
        wait_until=to_datetime_or_none(record.wait_until),
        avoid_node=record.avoid_node,
        retry_of=record.retry_of,
        continue_of=record.continue_of,
        model=record.model,
        max_cost_usd=record.max_cost_usd,
        timeout_s=record.timeout_s,
        cost_usd=money.shown(record.cost_usd, record.unknown_costs),
        unknown_cost_attempts=record.unknown_costs,
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cache_read_tokens=record.cache_read_tokens,
        cache_write_tokens=record.cache_write_tokens,
        grants=[_grant(grant) for grant in record.grants],
    )


def _grant(record: GrantRecord) -> Grant:
    return Grant(
        code=record.code,
        tool=record.tool,
        what=record.what,
        covers=record.covers,
        granted_by=record.granted_by,
        granted_at=to_datetime(record.granted_at),
    )


def notices(stored: str) -> list[Notice]:
    return [] if stored == "[]" else msgspec.json.decode(stored, type=list[Notice])


def attempt(
    record: AttemptRecord, usage: list[Usage], cost_usd: float | None, *, partial: bool
) -> Attempt:
    return Attempt(
        fence=record.fence,
        task_id=record.task_id,
        number=record.number,
        node=record.node,
        runner=record.runner,
        account=record.account,
        leased_at=to_datetime(record.leased_at),
        started_at=to_datetime_or_none(record.started_at),
        ended_at=to_datetime_or_none(record.ended_at),
        outcome=record.outcome,
        error=record.error,
        notices=notices(record.notices),
        session_id=record.session_id,
        cost_usd=cost_usd,
        partial=partial,
        usage=usage,
    )


def breaker(record: BreakerRecord) -> Breaker:
    return Breaker(
        state=record.state,
        fails=record.fails,
        opens=record.opens,
        until=to_datetime_or_none(record.until),
        probe_fence=record.probe_fence,
        reason=record.reason,
        changed_at=to_datetime_or_none(record.changed_at),
    )


def _node_fields(record: NodeRecord, its_breaker: BreakerRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "slots": record.slots,
        "labels": list(record.labels),
        "specialists": list(record.specialists),
        "runners": list(record.runners),
        "account": record.account,
        "version": record.version,
        "instance_id": record.instance_id,
        "facts": record.facts,
        "accepting": record.accepting,
        "not_accepting_reason": record.not_accepting_reason,
        "leaving": record.leaving,
        "draining": record.draining,
        "drain_note": record.drain_note,
        "drain_until": to_datetime_or_none(record.drain_until),
        "registered_at": to_datetime(record.registered_at),
        "last_heartbeat_at": to_datetime_or_none(record.heartbeat_at),
        "breaker": breaker(its_breaker),
    }


def node(record: NodeRecord, its_breaker: BreakerRecord) -> Node:
    return Node(**_node_fields(record, its_breaker))


def node_status(
    record: NodeRecord,
    its_breaker: BreakerRecord,
    running: list[int],
    *,
    now: float,
    stale_after_s: float,
    accounts: Iterable[AccountRecord] = (),
) -> NodeStatus:
    age_s = None if record.heartbeat_at is None else now - record.heartbeat_at
    return NodeStatus(
        **_node_fields(record, its_breaker),
        online=is_fresh(age_s, stale_after_s),
        heartbeat_age_s=None if age_s is None else max(age_s, 0.0),
        busy=len(running),
        free=max(record.slots - len(running), 0),
        running=running,
        troubles=[
            account(row)
            for row in troubled(accounts)
            if row.login == record.account_name and row.node in (None, record.name)
        ],
    )


def account(record: AccountRecord) -> Account:
    return Account(
        name=record.name,
        account=record.login,
        node=record.node,
        model=record.model,
        state=record.state,
        paused_until=to_datetime_or_none(record.paused_until),
        reason=record.reason,
        probe_fence=record.probe_fence,
        changed_at=to_datetime_or_none(record.changed_at),
    )


def approval(record: ApprovalRecord) -> Approval:
    return Approval(
        id=record.id,
        code=record.code,
        kind=record.kind,
        state=record.state,
        task_id=record.task_id,
        fence=record.fence,
        node=record.node,
        summary=record.summary,
        detail=record.detail,
        choices=list(record.choices),
        digest=record.digest,
        risk=record.risk,
        asked_at=to_datetime(record.asked_at),
        answered_at=to_datetime_or_none(record.answered_at),
        answered_by=record.answered_by,
        answered_via=record.answered_via,
        note=record.note,
        answer=record.answer,
        rules=list(record.rules),
        grantable=grants.why_not(record) is None,
        scope=record.scope,
    )


def inbound(row: InboundRow) -> Message:
    return Message(
        id=f"in-{row.id}",
        direction="in",
        chat=row.chat,
        sender=row.sender,
        text=row.text,
        at=to_datetime(row.received_at),
        state=MessageState.RECEIVED,
        task_id=row.task_id,
        guid=row.guid,
    )


def outbox(row: OutboxRow, approval_code: str | None) -> Message:
    return Message(
        id=f"out-{row.id}",
        direction="out",
        chat=row.chat,
        text=row.text,
        at=to_datetime(row.created_at),
        state=MessageState(row.state),
        task_id=row.task_id,
        approval_code=approval_code,
        guid=row.guid,
        error=row.error,
        maybe_duplicate=row.maybe_duplicate,
    )


def token(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        role=row.role,
        name=row.name,
        grants=row.grants,
        created_at=to_datetime(row.created_at),
        expires_at=to_datetime_or_none(row.expires_at),
        last_used_at=to_datetime_or_none(row.last_used_at),
        revoked_at=to_datetime_or_none(row.revoked_at),
    )
