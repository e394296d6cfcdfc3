"""Slots and the claims that fill them. Only free slots are ever asked for, and orders always."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from agentd.attempt import FAULT, Attempt
from agentd.contact import Standing
from agentd.spool import Spool
from agentd.stops import Reason, Stop
from common.client import HubError, HubUnreachableError
from common.wire.nodes import AnswerOrder, Applied, Claim, Claimed, Lease, PostResult, UsageSoFar
from common.wire.tasks import Outcome

logger = logging.getLogger(__name__)

CLAIM_WAIT_S = 25.0
RECHECK_S = 1.0
SETTLE_S = 20.0
"""Below the 30 s after which the hub takes an unstarted lease back."""
MODELS_REPORTED = 50


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

    def usage(self) -> list[UsageSoFar]:
        """What the running attempts used so far, as far as the hub can read it: a heartbeat must
        not be refused for what a runner reported."""
        found = []
        for fence, attempt in self._running.items():
            report = UsageSoFar(fence=fence, usage=attempt.usage[:MODELS_REPORTED])
            try:
                msgspec.json.decode(msgspec.json.encode(report), type=UsageSoFar)
            except (msgspec.MsgspecError, UnicodeEncodeError):
                continue
            if report.usage:
                found.append(report)
        return found

    async def idle(self) -> None:
        """Wait until no attempt runs."""
        while self.busy:
            self._changed.clear()
            await self._changed.wait()

    async def kill(self, fence: int) -> None:
        """A kill order; one for an attempt that is not here is answered with its end."""
        if (attempt := self._running.get(fence)) is not None:
            attempt.stop(Stop(Reason.CANCELLED, "cancelled"), hurry=True)
        elif fence not in self._spool.fences():
            error = "nothing of this attempt runs here"
            self._spool.put(fence, PostResult(outcome=Outcome.KILLED, error=error))

    async def take_answer(self, order: AnswerOrder) -> None:
        if (attempt := self._running.get(order.fence)) is not None:
            await attempt.take_answer(order)

    def freeze(self) -> None:
        """Everything that runs here stands still."""
        for attempt in self._running.values():
            attempt.freeze()

    def thaw(self) -> None:
        for attempt in self._running.values():
            attempt.thaw()

    def stop_all(self, stop: Stop, *, hurry: bool = False) -> None:
        for attempt in self._running.values():
            attempt.stop(stop, hurry=hurry)

    async def run_claims(self, in_touch: asyncio.Event) -> None:
        """Ask for work with the slots that are free, while the hub answers heartbeats; a node that
        is full or draining keeps asking with none, to hear at once of an attempt to end. Raises
        what the hub says."""
        while True:
            await in_touch.wait()
            room = self._room
            if room == 0 and not self._running:
                await self._pause()
                continue
            claimed = await self._claim(room)
            if claimed.beat:
                self._standing.news.set()
            for lease in claimed.leases:
                await self._take(lease)

    @property
    def _room(self) -> int:
        return self.free if self._standing.accepting else 0

    async def _pause(self) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_S):
                await self._changed.wait()

    async def _claim(self, room: int) -> Claimed:
        """One long poll, given up as soon as the node drains, or has room again."""
        claim = Claim(free_slots=room, wait_s=CLAIM_WAIT_S, instance_id=self._instance_id)
        claiming = asyncio.create_task(self._hub.claim(claim), name="claim")
        try:
            if room:
                await self._unless(claiming, self._standing.drained)
            while not room and not claiming.done() and not self._room and self._running:
                self._changed.clear()
                await self._unless(claiming, self._changed)
            return claiming.result() if claiming.done() else Claimed()
        except HubError as error:
            if error.hub_status != 409 and (room or error.hub_status != 422):
                raise
            # Not registered as this instance, or not accepting: the next heartbeat settles that.
            # 422: an older hub, which knows no claim without room.
            await asyncio.sleep(RECHECK_S)
            return Claimed()
        finally:
            claiming.cancel()
            await asyncio.gather(claiming, return_exceptions=True)

    async def _unless(self, claiming: asyncio.Task[Claimed], event: asyncio.Event) -> None:
        """Wait for the claim's answer or the event; look up now and then, for what has none."""
        other = asyncio.create_task(event.wait(), name="unless")
        timeout_s = None if event is self._standing.drained else RECHECK_S
        try:
            await asyncio.wait(
                {claiming, other}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)

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
                if await self._alone(lease):
                    await self._running[lease.fence].run()
                else:
                    with suppress(HubError, HubUnreachableError):
                        await self._hub.release(lease.fence)
            except Exception:
                # Our own fault and nobody else's: the hub must not wait for the lease to end.
                logger.exception("attempt failed inside agentd", extra={"fence": lease.fence})
                usage = self._running[lease.fence].usage
                result = PostResult(
                    outcome=Outcome.INTERNAL, error=FAULT, usage=usage, partial=True
                )
                self._spool.put(lease.fence, result)
            finally:
                self._running.pop(lease.fence, None)
                self._taken -= 1
                self._changed.set()

    async def _alone(self, lease: Lease) -> bool:
        """Whether no earlier attempt of the same task or session works here any more: one that the
        hub gave up is ended first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while self._has_other(lease):
                    self._changed.clear()
                    await self._changed.wait()
        return not self._has_other(lease)

    def _has_other(self, lease: Lease) -> bool:
        ids = {lease.task.id}
        sessions = {lease.task.session_id} - {None}
        return any(
            attempt.fence < lease.fence
            and (attempt.lease.task.id in ids or attempt.lease.task.session_id in sessions)
            for attempt in self._running.values()
        )
