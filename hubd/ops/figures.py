"""The figures a metrics page shows of the mesh itself, read from one snapshot when asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from prometheus_client import Gauge, ProcessCollector

from common.clock import to_epoch
from common.supervise import LoopHealth
from common.wire.approvals import ApprovalState
from common.wire.events import Snapshot
from common.wire.messages import MessageState
from common.wire.nodes import AccountState, BreakerState
from common.wire.tasks import LIVE_STATES, WAITING_STATES, TaskState
from hubd.calls import OpenCalls
from hubd.ops.backup import BackupState
from hubd.ops.metrics import Metrics
from hubd.ops.space import Space
from hubd.services.wiring import Services
from hubd.store.database import Database

_TO_SEND = (MessageState.PENDING, MessageState.SENDING)


def watch(
    metrics: Metrics,
    services: Services,
    database: Database,
    calls: OpenCalls,
    loops: Mapping[str, LoopHealth],
    backups: BackupState,
    space: Space,
) -> None:
    """Have every figure read when the page is asked for."""
    ProcessCollector(registry=metrics.registry)
    metrics.watch_loops(loops)
    _watch_process(metrics, database, calls, backups, space)
    mesh = _MeshFigures(metrics)

    async def read() -> None:
        mesh.show(await services.control.snapshot())

    metrics.read_with(read)


def _watch_process(
    metrics: Metrics,
    database: Database,
    calls: OpenCalls,
    backups: BackupState,
    space: Space,
) -> None:
    streams = metrics.gauge("mesh_streams_open", "Streams of events and output that are open.")
    waits = metrics.gauge("mesh_calls_waiting", "Long polls that wait.")
    size = metrics.gauge("mesh_database_bytes", "Size of a file of the database.", "file")
    full = metrics.gauge("mesh_disk_full", "1 while there is no room for new rows.")
    backup_at = metrics.gauge("mesh_backup_last_seconds", "When the last backup was made.")
    failures = metrics.gauge("mesh_backup_failures", "Backups that could not be made.")

    async def read() -> None:
        streams.set(calls.streams)
        waits.set(calls.waits)
        full.set(database.disk_full or space.low)
        backup_at.set(backups.last_at or 0)
        failures.set(backups.failures)
        for file, suffix in (("main", ""), ("wal", "-wal")):
            path = database.path.with_name(database.path.name + suffix)
            size.labels(file).set(path.stat().st_size if path.exists() else 0)

    metrics.read_with(read)


class _MeshFigures:
    def __init__(self, metrics: Metrics) -> None:
        gauge = metrics.gauge
        self._tasks = gauge("mesh_tasks", "Unfinished tasks.", "state")
        self._oldest = gauge("mesh_queue_age_seconds", "Age of the oldest task in the queue.")
        self._overdue = gauge("mesh_lease_overdue_seconds", "How long the stalest lease is over.")
        self._hold = gauge("mesh_hold", "1 while dispatch is paused by the operator.")
        self._beat = gauge("mesh_node_heartbeat_age_seconds", "Age of a heartbeat.", "node")
        self._slots = gauge("mesh_node_slots", "Slots of a node.", "node")
        self._busy = gauge("mesh_node_busy", "Slots of a node that hold a task.", "node")
        self._drains = gauge("mesh_node_draining", "1 while a node takes no more.", "node")
        self._breaker = gauge("mesh_node_breaker", "1 for the breaker's state.", "node", "state")
        self._account = gauge("mesh_account", "1 for the account's state.", "account", "state")
        self._approvals = gauge("mesh_approvals_pending", "Questions waiting for a person.")
        self._asked = gauge("mesh_approval_age_seconds", "Age of the oldest pending question.")
        self._outbox = gauge("mesh_outbox_pending", "Replies that are not sent yet.")
        self._unsent = gauge("mesh_outbox_age_seconds", "Age of the oldest reply not sent.")
        self._cost = gauge("mesh_cost_today_usd", "What today cost so far.")
        self._tokens = gauge("mesh_tokens_today", "Tokens used today.", "kind")

    def show(self, snapshot: Snapshot) -> None:
        now = to_epoch(snapshot.at)
        self._show_tasks(snapshot, now)
        self._show_nodes(snapshot, now)
        self._show_waiting(snapshot, now)
        spend = snapshot.spend
        self._hold.set(snapshot.hold.on)
        self._cost.set(spend.cost_usd)
        for kind in ("input", "output", "cache_read", "cache_write"):
            self._tokens.labels(kind).set(getattr(spend, f"{kind}_tokens"))

    def _show_tasks(self, snapshot: Snapshot, now: float) -> None:
        counts = Counter(task.state for task in snapshot.tasks)
        for state in WAITING_STATES | LIVE_STATES:
            self._tasks.labels(state.value).set(counts[state])
        queued = [t.created_at for t in snapshot.tasks if t.state is TaskState.QUEUED]
        _set_age(self._oldest, queued, now)
        _set_age(self._overdue, [t.lease_until for t in snapshot.tasks if t.lease_until], now)

    def _show_nodes(self, snapshot: Snapshot, now: float) -> None:
        busy = Counter(task.node for task in snapshot.tasks if task.state in LIVE_STATES)
        for node in snapshot.nodes:
            self._slots.labels(node.name).set(node.slots)
            self._busy.labels(node.name).set(busy[node.name])
            self._drains.labels(node.name).set(node.draining)
            for state in BreakerState:
                shown = self._breaker.labels(node.name, state.value)
                shown.set(node.breaker.state is state)
            if node.last_heartbeat_at is not None:
                _set_age(self._beat.labels(node.name), [node.last_heartbeat_at], now)
        for account in snapshot.accounts:
            for account_state in AccountState:
                shown = self._account.labels(account.name, account_state.value)
                shown.set(account.state is account_state)

    def _show_waiting(self, snapshot: Snapshot, now: float) -> None:
        asked = [a.asked_at for a in snapshot.approvals if a.state is ApprovalState.PENDING]
        self._approvals.set(len(asked))
        _set_age(self._asked, asked, now)
        unsent = [m.at for m in snapshot.messages if m.state in _TO_SEND]
        self._outbox.set(len(unsent))
        _set_age(self._unsent, unsent, now)


def _set_age(gauge: Gauge, moments: list[datetime], now: float) -> None:
    """The age of the oldest; 0 when there is none, or it lies ahead."""
    gauge.set(max([0.0, *(now - to_epoch(moment) for moment in moments)]))
