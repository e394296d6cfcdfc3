"""Folding events into a state: what the control centre shows and what tests hold the hub to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from common.wire.admin import Hold, Spend
from common.wire.approvals import Approval
from common.wire.events import Entity, Event, Pulse, Snapshot
from common.wire.messages import Bridge, Message
from common.wire.nodes import Account, Node
from common.wire.tasks import Task

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class FoldedState:
    """The hub's state as its events tell it."""

    last_event_id: str
    hold: Hold
    spend: Spend
    bridge: Bridge
    tasks: dict[int, Task] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    approvals: dict[int, Approval] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot) -> FoldedState:
        return cls(
            last_event_id=snapshot.last_event_id,
            hold=snapshot.hold,
            spend=snapshot.spend,
            bridge=snapshot.bridge,
            tasks={task.id: task for task in snapshot.tasks},
            nodes={node.name: node for node in snapshot.nodes},
            approvals={approval.id: approval for approval in snapshot.approvals},
            accounts={account.name: account for account in snapshot.accounts},
            messages={message.id: message for message in snapshot.messages},
        )

    def apply(self, event: Event) -> None:
        """Take one event in; events must come in order, each once."""
        self.last_event_id = event.id
        match event.entity:
            case Entity.TASK:
                _put(self.tasks, int(event.key), event, Task)
            case Entity.NODE:
                _put(self.nodes, event.key, event, Node)
            case Entity.APPROVAL:
                _put(self.approvals, int(event.key), event, Approval)
            case Entity.ACCOUNT:
                _put(self.accounts, event.key, event, Account)
            case Entity.MESSAGE:
                _put(self.messages, event.key, event, Message)
            case Entity.HOLD:
                self.hold = _decode(event, Hold) or self.hold
            case Entity.SPEND:
                self.spend = _decode(event, Spend) or self.spend
            case Entity.BRIDGE:
                self.bridge = _decode(event, Bridge) or self.bridge
            case Entity.AUDIT:
                pass

    def beat(self, pulse: Pulse) -> None:
        """Move a node's last heartbeat; a pulse of an unknown node waits for its event."""
        node = self.nodes.get(pulse.node)
        if node is not None:
            self.nodes[pulse.node] = msgspec.structs.replace(node, last_heartbeat_at=pulse.at)


def _decode(event: Event, kind: type[V]) -> V | None:
    return msgspec.json.decode(event.record, type=kind | None)


def _put(records: dict[K, V], key: K, event: Event, kind: type[V]) -> None:
    record = _decode(event, kind)
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record
