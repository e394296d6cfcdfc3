"""The dispatcher: open claims on one side, waiting tasks on the other, one pass at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import msgspec

from common.wire.events import Entity, Event, Pulse
from common.wire.nodes import Claim, Claimed, Lease
from common.wire.tasks import Task, TaskState
from hubd.domain.lifecycle import Cause, Move
from hubd.errors import NotFoundError
from hubd.services import ending, placing
from hubd.services.env import Env
from hubd.services.instances import refuse_other
from hubd.store import attempts, nodes
from hubd.store.database import Database
from hubd.store.transaction import Tx, View

logger = logging.getLogger(__name__)

LONGEST_NAP_S = 1.0
"""A pass runs at least this often while a node asks and something may have become due."""

WAKING = frozenset({Entity.TASK, Entity.NODE, Entity.ACCOUNT, Entity.HOLD, Entity.SPEND})
ENDING_TYPES = frozenset({"task.cancelling", "task.cancel_requested"})
"""Changes a node has to hear of: it ends an attempt when the reply to its heartbeat says so."""

SILENT_TYPES = frozenset({"task.leased", "task.started"})
"""Changes that never make anything dispatchable."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A node's open claim. `considered` is set once a pass looked at it."""

    node: str
    free: int
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    considered: asyncio.Event = field(default_factory=asyncio.Event)
    leases: list[Lease] = field(default_factory=list)
    gone: bool = False
    replaced: bool = False


class Dispatcher:
    """`run` must be running for claims to be answered."""

    def __init__(self, database: Database, env: Env) -> None:
        self._database = database
        self.env = env
        self._waiters: dict[str, Waiter] = {}
        self._abandoned: list[int] = []
        self._ordered: set[str] = set()
        self._kick = asyncio.Event()
        database.bus.listen(self._hear)

    def _hear(self, item: Event | Pulse) -> None:
        if isinstance(item, Pulse):
            return
        if item.entity in WAKING and item.type not in SILENT_TYPES:
            self._kick.set()
        if item.type in ENDING_TYPES and item.record is not None:
            self._order(msgspec.json.decode(item.record, type=Task).node)

    def _order(self, node: str | None) -> None:
        """Let a node ask for its orders now, by the claim it has open or the next one it opens."""
        if node is None:
            return
        self._ordered.add(node)
        if (waiter := self._waiters.get(node)) is not None:
            waiter.granted.set()

    async def claim(self, node: str, request: Claim) -> Claimed:
        """Wait for work or an order; a newer claim of the same node ends an older one with
        nothing."""
        await self._database.read(lambda view: _may_claim(view, node, request.instance_id))
        older = self._waiters.pop(node, None)
        if older is not None:
            older.gone = older.replaced = True
            older.granted.set()
        waiter = Waiter(node, request.free_slots)
        self._waiters[node] = waiter
        if waiter.free:
            self._kick.set()
        try:
            await self._wait(waiter, 0.0 if node in self._ordered else request.wait_s)
        except BaseException:
            self._abandon(waiter)
            raise
        finally:
            waiter.gone = True
            if self._waiters.get(node) is waiter:
                del self._waiters[node]
        if waiter.replaced:
            return Claimed()
        ordered = node in self._ordered
        self._ordered.discard(node)
        return Claimed(leases=waiter.leases, beat=ordered)

    async def _wait(self, waiter: Waiter, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await waiter.granted.wait()
        except TimeoutError:
            if waiter.free and not waiter.granted.is_set() and not waiter.considered.is_set():
                await waiter.considered.wait()

    def _abandon(self, waiter: Waiter) -> None:
        """Nobody reads the answer any more: give back what it would have held."""
        self._abandoned += [lease.fence for lease in waiter.leases]
        self._kick.set()

    async def run(self) -> None:
        """Pass after pass until cancelled."""
        wake_at: float | None = None
        while True:
            await self._nap(wake_at)
            self._kick.clear()
            wake_at = await self.pass_once()

    async def _nap(self, wake_at: float | None) -> None:
        longest = LONGEST_NAP_S if self._waiters else 60.0
        if wake_at is not None:
            longest = min(longest, max(wake_at - self._database.clock.now(), 0.001))
        try:
            async with asyncio.timeout(longest):
                await self._kick.wait()
        except TimeoutError:
            return

    async def pass_once(self) -> float | None:
        """One pass over the claims that are open now; returns when the next may find more."""
        if self._abandoned:
            fences, self._abandoned = self._abandoned, []
            await self._database.write(lambda tx: _give_back(tx, self.env, fences))
        waiters = {w.node: w for w in self._waiters.values() if w.free and not w.granted.is_set()}
        if not waiters:
            return None
        offers = {name: waiter.free for name, waiter in waiters.items()}
        placed = await self._database.write(lambda tx: placing.run_pass(tx, self.env, offers))
        for name, waiter in waiters.items():
            self._deliver(waiter, placed.leases.get(name, []))
        if placed.more:
            self._kick.set()
        return placed.wake_at

    def _deliver(self, waiter: Waiter, leases: list[Lease]) -> None:
        waiter.considered.set()
        if not leases:
            return
        waiter.leases = leases
        waiter.granted.set()
        if waiter.gone:
            self._abandon(waiter)


def _may_claim(view: View, name: str, instance_id: str | None) -> None:
    node = nodes.find(view.conn, name)
    if node is None:
        raise NotFoundError(f"no node is called {name}: register it first")
    refuse_other(node, instance_id)


def _give_back(tx: Tx, env: Env, fences: list[int]) -> None:
    for fence in fences:
        attempt = attempts.find(tx.conn, fence)
        task = None if attempt is None else ending.current_task(tx, attempt)
        if attempt is not None and task is not None and task.state is TaskState.LEASED:
            placing.take_back(tx, env, task, attempt, Move.RELEASE, Cause.NODE)
