"""Slots and the claims that fill them. Only free slots are ever asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from agentd.attempt import Attempt
from agentd.contact import Standing
from agentd.spool import Spool
from agentd.stops import Reason, Stop
from common.client import HubError
from common.wire.nodes import AnswerOrder, Applied, Claim, Claimed, Lease, PostResult
from common.wire.tasks import Outcome

logger = logging.getLogger(__name__)

CLAIM_WAIT_S = 25.0
RECHECK_S = 1.0


class ClaimHub(Protocol):
    """What claiming needs of the hub."""

    async def claim(self, claim: Claim) -> Claimed: ...

    async def release(self, fence: int) -> Applied: ...


class Slots:
    """The attempts of this node: `run_slot` once per slot, `run_claims` beside them."""

    def __init__(
        self,
        count: int,
        *,
        hub: ClaimHub,
        spool: Spool,
        standing: Standing,
        make_attempt: Callable[[Lease], Attempt],
        instance_id: str,
    ) -> None:
        self._hub = hub
        self._spool = spool
        self._standing = standing
        self._make_attempt = make_attempt
        self._instance_id = instance_id
        self._leases: asyncio.Queue[Lease] = asyncio.Queue()
        self._running: dict[int, Attempt] = {}
        self._taken = 0
        self._count = count
        self._changed = asyncio.Event()

    @property
    def free(self) -> int:
        return self._count - self._taken

    @property
    def busy(self) -> bool:
        return self._taken > 0

    def fences(self) -> list[int]:
        """What heartbeats list: running attempts, and ended ones whose result is undelivered."""
        return sorted({*self._running, *self._spool.fences()})

    async def idle(self) -> None:
        """Wait until no attempt runs."""
        while self.busy:
            self._changed.clear()
            await self._changed.wait()

    async def kill(self, fence: int) -> None:
        """A kill order; one for an attempt that is not here is answered with its end."""
        if (attempt := self._running.get(fence)) is not None:
            attempt.stop(Stop(Reason.CANCELLED, "cancelled"))
        elif fence not in self._spool.fences():
            error = "nothing of this attempt runs here"
            self._spool.put(fence, PostResult(outcome=Outcome.KILLED, error=error))

    async def take_answer(self, order: AnswerOrder) -> None:
        if (attempt := self._running.get(order.fence)) is not None:
            await attempt.take_answer(order)

    def stop_all(self, stop: Stop, *, hurry: bool = False) -> None:
        for attempt in self._running.values():
            attempt.stop(stop, hurry=hurry)

    async def run_claims(self, in_touch: asyncio.Event) -> None:
        """Ask for work whenever a slot is free, the node accepts and the hub answers heartbeats;
        raises what the hub says."""
        while not self._standing.draining:
            await in_touch.wait()
            if self.free > 0 and self._standing.accepting:
                for lease in await self._claim():
                    await self._take(lease)
            else:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RECHECK_S):
                        await self._changed.wait()

    async def _claim(self) -> list[Lease]:
        """One long poll, given up as soon as the node drains."""
        claim = Claim(free_slots=self.free, wait_s=CLAIM_WAIT_S, instance_id=self._instance_id)
        claiming = asyncio.create_task(self._hub.claim(claim), name="claim")
        draining = asyncio.create_task(self._standing.drained.wait(), name="drain")
        try:
            await asyncio.wait({claiming, draining}, return_when=asyncio.FIRST_COMPLETED)
            return claiming.result().leases if claiming.done() else []
        except HubError as error:
            if error.hub_status != 409:
                raise
            # Not registered as this instance, or not accepting: the next heartbeat mends that.
            await asyncio.sleep(RECHECK_S)
            return []
        finally:
            claiming.cancel()
            draining.cancel()
            await asyncio.gather(claiming, draining, return_exceptions=True)

    async def _take(self, lease: Lease) -> None:
        if self._standing.draining:
            await self._hub.release(lease.fence)
            return
        self._taken += 1
        self._running[lease.fence] = self._make_attempt(lease)
        self._leases.put_nowait(lease)

    async def run_slot(self) -> None:
        """Run one attempt after the other."""
        while True:
            lease = await self._leases.get()
            try:
                await self._running[lease.fence].run()
            except Exception:
                # Whatever it was, it was this node's: the hub must not wait for the lease to end.
                logger.exception("attempt failed inside agentd", extra={"fence": lease.fence})
                error = "a fault inside agentd; see its log"
                self._spool.put(lease.fence, PostResult(outcome=Outcome.NODE_FAULT, error=error))
            finally:
                self._running.pop(lease.fence, None)
                self._taken -= 1
                self._changed.set()
