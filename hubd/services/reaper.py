"""The reaper: everything that happens because time passed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from common.wire.approvals import ApprovalKind
from common.wire.tasks import TaskState
from hubd.domain import accounts, breaker, leases, money, replies
from hubd.domain.breaker import Probe
from hubd.domain.dispatch import is_fresh
from hubd.domain.leases import Tick
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import AttemptRecord, TaskRecord
from hubd.services import ending, journal, placing, waiting
from hubd.services.env import Env
from hubd.services.nodes import LeaseBook, end_drain, find_node
from hubd.store import (
    approvals,
    attempts,
    conversation,
    events,
    files,
    meta,
    nodes,
    output,
    tasks,
)
from hubd.store.database import Database
from hubd.store.transaction import Tx

logger = logging.getLogger(__name__)

TICK_S = 1.0
REASONS_EVERY_S = 5.0
REASONS_FOR = 100
"""Waiting tasks whose reason is kept fresh; the rest is told when somebody asks."""
TELL_AFTER_S = 300.0
"""A wait for a node that lasts that long is worth a text: most are over before."""
FORGET_EVERY_S = 60.0
FORGET_BATCH = 5000
FILES_KEEP_S = 7 * 86_400.0
OUTPUT_KEEP_S = 7 * 86_400.0


class Reaper:
    """Leases, starts, lost attempts, deadlines, drain time-outs, breakers, the day's turn,
    retention. A grace of one lease follows the hub's start and every jump of the clock."""

    def __init__(self, database: Database, env: Env, book: LeaseBook) -> None:
        self._database = database
        self._env = env
        self._book = book
        self._last: Tick | None = None
        self._reasons_at = 0.0
        self._forget_at = 0.0
        self._marked_seq = -1

    async def tick(self) -> None:
        """One pass; safe to call at any pace."""
        clock = self._database.clock
        lease_s = self._env.config.hub.lease_s
        wall, monotonic = clock.now(), clock.monotonic()
        if self._last is None:
            self._last = leases.first_tick(wall, monotonic, lease_s)
            await self._database.write(lambda tx: attempts.renew_all(tx.conn, tx.now + lease_s))
        passed = leases.next_tick(self._last, wall, monotonic, lease_s)
        self._last = passed.tick
        if passed.jump_s:
            logger.warning("clock jumped", extra={"jump_s": round(passed.jump_s, 1)})
            await self._database.write(lambda tx: rebase(tx, self._env, passed.jump_s))
            self._reasons_at = self._forget_at = 0.0
        await self._database.write(
            lambda tx: sweep(tx, self._env, self._book, may_expire=passed.may_expire)
        )
        await self._chores(monotonic)

    async def _chores(self, monotonic: float) -> None:
        if monotonic >= self._reasons_at:
            self._reasons_at = monotonic + REASONS_EVERY_S
            await self._database.write(lambda tx: refresh_reasons(tx, self._env))
            await self._database.write(lambda tx: tell_waits(tx, self._env))
            await self._database.save_marks()
        if monotonic >= self._forget_at:
            self._forget_at = monotonic + FORGET_EVERY_S
            await self._database.write(lambda tx: forget(tx, self._env))

    async def run(self) -> None:
        """Tick about once a second until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(TICK_S)


def sweep(tx: Tx, env: Env, book: LeaseBook, *, may_expire: bool) -> None:
    """All that is due. Without `may_expire` no attempt is given up."""
    if may_expire:
        for attempt in attempts.open_attempts(tx.conn):
            _check_attempt(tx, env, book, attempt)
    for task in tasks.overdue(tx.conn, tx.now):
        journal.move_task(
            tx, env, task, Move.OVERDUE, Cause.HUB, outcome="deadline",
            error="its deadline passed before a node was free",
        )  # fmt: skip
    for task in tasks.waited_out(tx.conn, tx.now):
        _let_go(tx, env, task)
    for node, _ in env.nodes.read(tx.conn):
        if node.draining and node.drain_until is not None and node.drain_until <= tx.now:
            end_drain(tx, node.name, "time-out")
    for was in nodes.breakers(tx.conn).values():
        now_is = breaker.on_tick(was, tx.now, env.config.breaker, _probe(tx, was.probe_fence))
        journal.save_breaker(tx, env, was, now_is)
    for account in nodes.accounts(tx.conn).values():
        probe = _probe(tx, account.probe_fence)
        journal.save_account(
            tx, account, accounts.on_tick(account, tx.now, env.config.breaker, probe)
        )
    _turn_day(tx, env)


def _probe(tx: Tx, fence: int | None) -> Probe:
    attempt = None if fence is None else attempts.find(tx.conn, fence)
    task = None if attempt is None else ending.current_task(tx, attempt)
    if task is None:
        return Probe.OVER
    return Probe.RUNNING if task.state is TaskState.RUNNING else Probe.SILENT


def _check_attempt(tx: Tx, env: Env, book: LeaseBook, attempt: AttemptRecord) -> None:
    task = ending.current_task(tx, attempt)
    if task is None:
        return
    if task.state is TaskState.UNKNOWN:
        _check_unknown(tx, env, task, attempt)
        return
    until = max(attempt.lease_until or 0.0, book.until(attempt.fence))
    if until >= tx.now:
        return
    if task.state is TaskState.LEASED:
        placing.take_back(tx, env, task, attempt, Move.START_OVERDUE, Cause.HUB)
        return
    unknown = journal.move_task(
        tx, env, task, Move.LEASE_EXPIRED, Cause.HUB, unknown_since=tx.now,
        detail={"node": attempt.node, "fence": attempt.fence},
    )  # fmt: skip
    changed = replace(unknown, wait_reason=waiting.silence_words(tx, env, unknown))
    journal.save_task(tx, env, unknown, changed, "task.waiting", {"reason": changed.wait_reason})


def _check_unknown(tx: Tx, env: Env, task: TaskRecord, attempt: AttemptRecord) -> None:
    """T13. A node that beats without the attempt has lost it, and nothing of it runs there; a
    silent one is no fault of its, and may run it for a while yet."""
    node = nodes.find(tx.conn, attempt.node)
    beat_at = None if node is None else node.heartbeat_at
    age_s = None if beat_at is None else tx.now - beat_at
    beats = is_fresh(age_s, env.config.hub.stale_after_s)
    lost_at = waiting.lost_at(tx, env, task)
    if beats:
        lost_at = min(lost_at, (task.unknown_since or tx.now) + env.config.hub.lease_s)
    if tx.now < lost_at:
        return
    reason = "its node beats without it" if beats else "its node went silent"
    ending.lose(tx, env, task, attempt, node_beats=beats, waits=beats, reason=reason)


def _let_go(tx: Tx, env: Env, task: TaskRecord) -> None:
    """It waited for its node for as long as was said: any other may have it."""
    free = replace(task, sticky=False, wait_until=None, updated_at=tx.now)
    free = replace(free, wait_reason=waiting.look(tx, env, free).reason)
    detail = {"waited_for": tasks.place_of(task)}
    journal.save_task(tx, env, task, free, "task.let_go", detail)


def tell_waits(tx: Tx, env: Env) -> None:
    """Tell whoever asked for it, once, that work has been waiting for its node for some time."""
    for task in tasks.in_state(tx.conn, [TaskState.UNKNOWN, TaskState.QUEUED], REASONS_FOR):
        if task.wait_told or task.conversation is None or task.cancel_requested:
            continue
        words = waiting.wait_words(tx, env, task)
        since = waiting.waits_since(tx, task)
        if words is None or since is None or tx.now - since < TELL_AFTER_S:
            continue
        told = replace(task, wait_told=True, updated_at=tx.now)
        journal.save_task(tx, env, task, told, "task.wait_told", {"reason": words})
        text = replies.waits_notice(task, words, moved=ending.is_moved(task))
        journal.queue_text(tx, env, "notice", task.conversation, text, task_id=task.id)


def rebase(tx: Tx, env: Env, jump_s: float) -> None:
    """The wall clock jumped: leases and silences count anew from now, and what was left of a
    pause is left still. Only a provider's reset is a time of the wall, and stays."""
    attempts.renew_all(tx.conn, tx.now + env.config.hub.lease_s)
    nodes.shift_heartbeats(tx.conn, jump_s)
    conversation.shift_claims(tx.conn, jump_s)
    for was in nodes.breakers(tx.conn).values():
        journal.save_breaker(tx, env, was, breaker.shift(was, jump_s), {"jump_s": jump_s})
    for account in nodes.accounts(tx.conn).values():
        moved_account = accounts.shift(account, jump_s)
        journal.save_account(tx, account, moved_account, {"jump_s": jump_s})
    for node, _ in env.nodes.read(tx.conn):
        if node.drain_until is not None:
            current = find_node(tx, node.name)
            moved_drain = replace(current, drain_until=node.drain_until + jump_s)
            journal.save_node(tx, moved_drain, "node.rebased")
    for task in tasks.in_state(tx.conn, [TaskState.UNKNOWN, TaskState.QUEUED]):
        moved = _rebased(task, tx.now, jump_s)
        if moved != task:
            detail = {"jump_s": round(jump_s, 1)}
            journal.save_task(tx, env, task, moved, "task.rebased", detail)


def _rebased(task: TaskRecord, now: float, jump_s: float) -> TaskRecord:
    if task.state is TaskState.UNKNOWN:
        return replace(task, unknown_since=now, updated_at=now)
    moved = task
    if task.wait_until is not None:
        moved = replace(moved, wait_until=task.wait_until + jump_s, updated_at=now)
    if task.not_before is not None and task.outcome not in ending.PAUSING:
        moved = replace(moved, not_before=task.not_before + jump_s, updated_at=now)
    return moved


def _turn_day(tx: Tx, env: Env) -> None:
    """A new day: a new sum, and yesterday's question about the cap is void."""
    today = money.day_of(tx.now, env.zone)
    if meta.get(tx.conn, "day") == today:
        return
    meta.put(tx.conn, "day", today)
    journal.emit_spend(tx, env, "spend.day_began")
    for approval in approvals.pending(tx.conn):
        if approval.kind is ApprovalKind.BUDGET and approval.day != today:
            journal.withdraw(tx, approval)


def refresh_reasons(tx: Tx, env: Env) -> None:
    """Keep the shown reason of the first waiting tasks true."""
    waiting_tasks = tasks.in_state(tx.conn, [TaskState.QUEUED], REASONS_FOR)
    views = waiting.node_views(tx, env) if waiting_tasks else {}
    reasons: dict[tuple[str, str | None, float | None], str] = {}
    for task in waiting_tasks:
        if task.not_before is not None and task.not_before > tx.now:
            continue
        alike = (tasks.lane_of(task).key, task.session_id, task.wait_until)
        if alike not in reasons:
            reasons[alike] = waiting.look(tx, env, task, views).reason
        reason = reasons[alike]
        if reason != task.wait_reason:
            changed = replace(task, wait_reason=reason, updated_at=tx.now)
            journal.save_task(tx, env, task, changed, "task.waiting", {"reason": reason})


def forget(tx: Tx, env: Env) -> None:
    """Delete what is too old, a little at a time."""
    hub = env.config.hub
    events.forget(
        tx.conn,
        older_than=tx.now - hub.events_keep_days * 86_400.0,
        keep_rows=hub.events_keep_rows,
        batch=FORGET_BATCH,
    )
    output.forget(tx.conn, tx.now - OUTPUT_KEEP_S)
    files.forget(tx.conn, tx.now - FILES_KEEP_S)
