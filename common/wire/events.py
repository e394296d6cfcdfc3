"""The event log and the snapshot it continues.

An event carries the whole changed record, so a client folds without asking back
(`common.fold`). `pulse` messages, heartbeats, pass by the log: they have no id.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Raw, Struct

from common.wire.admin import Hold, Spend
from common.wire.approvals import Approval
from common.wire.messages import Bridge, Message
from common.wire.moment import Moment
from common.wire.nodes import Account, Node
from common.wire.tasks import Task

NO_RECORD = Raw(b"null")


class Entity(StrEnum):
    TASK = "task"
    NODE = "node"
    APPROVAL = "approval"
    ACCOUNT = "account"
    MESSAGE = "message"
    HOLD = "hold"
    SPEND = "spend"
    BRIDGE = "bridge"
    AUDIT = "audit"
    """Logins, failures, tokens: nothing to fold, for the record and the event screen."""


class Event(Struct, frozen=True, kw_only=True):
    """`type` is past tense, `task.leased`; `id` is `<epoch>-<seq>`; `record` null removes it.

    `detail` holds the evidence: who, why, from which state.
    """

    seq: int
    id: str
    at: Moment
    type: str
    entity: Entity
    key: str
    record: Raw = NO_RECORD
    detail: dict[str, Any] = {}


class Pulse(Struct, frozen=True, kw_only=True):
    """A heartbeat as it passes: moves `Node.last_heartbeat_at` and nothing else."""

    node: str
    at: Moment


class HubInfo(Struct, frozen=True, kw_only=True):
    """What a client shows of the hub. `stale_after_s`: a node whose heartbeat is older gets no
    work."""

    version: str
    started_at: Moment
    epoch: int
    stale_after_s: float
    disk_full: bool = False


class Snapshot(Struct, frozen=True, kw_only=True):
    """The state at `last_event_id`: all unfinished tasks, the last finished ones, all pending
    approvals and the last answered ones, the end of the conversation."""

    last_event_id: str
    at: Moment
    hub: HubInfo
    hold: Hold
    spend: Spend
    bridge: Bridge
    tasks: list[Task] = []
    nodes: list[Node] = []
    approvals: list[Approval] = []
    accounts: list[Account] = []
    messages: list[Message] = []
