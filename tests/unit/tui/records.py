"""Short ways to make the records the tests fold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from common.clock import to_epoch
from common.wire.admin import Hold, Spend
from common.wire.approvals import Approval, ApprovalKind, ApprovalState
from common.wire.events import Entity, Event, HubInfo, Snapshot
from common.wire.messages import Bridge
from common.wire.nodes import Node
from common.wire.tasks import Task, TaskState
from tui.state.store import Store

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOW = to_epoch(AT)


def task(number: int, state: TaskState = TaskState.QUEUED, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "title": f"task {number}", "prompt": f"do {number}", "created_at": AT, "updated_at": AT,
    }  # fmt: skip
    return Task(id=number, state=state, **(fields | more))


def node(name: str, **more: Any) -> Node:
    fields: dict[str, Any] = {"slots": 3, "registered_at": AT, "last_heartbeat_at": AT}
    return Node(name=name, **(fields | more))


def approval(number: int, state: ApprovalState = ApprovalState.PENDING, **more: Any) -> Approval:
    fields: dict[str, Any] = {
        "code": f"K{number}", "kind": ApprovalKind.TOOL, "summary": "s", "asked_at": AT,
        "task_id": number,
    }  # fmt: skip
    return Approval(id=number, state=state, **(fields | more))


def snapshot(**more: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "last_event_id": "1-0", "at": AT, "hold": Hold(), "spend": Spend(day="2026-05-04"),
        "bridge": Bridge(state="ok"),
        "hub": HubInfo(version="1", started_at=AT, epoch=1, stale_after_s=25.0),
    }  # fmt: skip
    return Snapshot(**(fields | more))


def event(seq: int, entity: Entity, key: str, record: Any, seconds: float = 0.0) -> Event:
    return Event(
        seq=seq, id=f"1-{seq}", at=AT + timedelta(seconds=seconds), type=f"{entity}.changed",
        entity=entity, key=key, record=msgspec.Raw(msgspec.json.encode(record)),
    )  # fmt: skip


def loaded(**more: Any) -> Store:
    """A store that is live at NOW."""
    store = Store.empty()
    store.load(snapshot(**more), NOW)
    store.link_up(NOW)
    return store
