"""Events fold into exactly the records they carry."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from common.fold import FoldedState
from common.wire.admin import Hold, Spend
from common.wire.events import Entity, Event, HubInfo, Pulse, Snapshot
from common.wire.messages import Bridge
from common.wire.nodes import Node
from common.wire.tasks import Task, TaskState

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def empty() -> FoldedState:
    info = HubInfo(version="1", started_at=AT, epoch=1, stale_after_s=25.0)
    snapshot = Snapshot(
        last_event_id="1-0",
        at=AT,
        hub=info,
        hold=Hold(),
        spend=Spend(day="2026-05-01"),
        bridge=Bridge(),
    )
    return FoldedState.of(snapshot)


def event(seq: int, entity: Entity, key: str, record: object | None) -> Event:
    raw = msgspec.Raw(msgspec.json.encode(record))
    return Event(
        seq=seq, id=f"1-{seq}", at=AT, type="x.changed", entity=entity, key=key, record=raw
    )


def task(state: TaskState) -> Task:
    return Task(id=42, title="t", prompt="p", state=state, created_at=AT, updated_at=AT)


def test_the_last_record_of_a_task_stands() -> None:
    state = empty()
    state.apply(event(1, Entity.TASK, "42", task(TaskState.QUEUED)))
    state.apply(event(2, Entity.TASK, "42", task(TaskState.LEASED)))
    assert state.tasks == {42: task(TaskState.LEASED)}
    assert state.last_event_id == "1-2"


def test_an_event_without_a_record_removes_it() -> None:
    state = empty()
    state.apply(event(1, Entity.TASK, "42", task(TaskState.QUEUED)))
    state.apply(event(2, Entity.TASK, "42", None))
    state.apply(event(3, Entity.TASK, "42", None))
    assert state.tasks == {}


def test_hold_and_spend_are_replaced_and_audit_folds_to_nothing() -> None:
    state = empty()
    state.apply(event(1, Entity.HOLD, "hold", Hold(on=True, reason="lunch")))
    state.apply(event(2, Entity.SPEND, "2026-05-01", Spend(day="2026-05-01", cost_usd=1.5)))
    state.apply(event(3, Entity.AUDIT, "token", None))
    assert state.hold.on
    assert state.spend.cost_usd == 1.5


def test_a_pulse_moves_a_known_node_only() -> None:
    state = empty()
    state.beat(Pulse(node="Rex", at=AT))
    assert state.nodes == {}
    state.apply(event(1, Entity.NODE, "Rex", Node(name="Rex", slots=2, registered_at=AT)))
    state.beat(Pulse(node="Rex", at=AT))
    assert state.nodes["Rex"].last_heartbeat_at == AT
