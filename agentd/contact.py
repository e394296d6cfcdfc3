"""Contact with the hub: registration and heartbeats, and the orders that come back with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import msgspec

from agentd.stops import Reason, Stop
from common.client import HubError, HubUnreachableError
from common.clock import Clock
from common.supervise import Backoff
from common.wire.facts import NodeFacts
from common.wire.nodes import (
    AnswerOrder,
    Heartbeat,
    HeartbeatReply,
    Leaving,
    Registered,
    RegisterNode,
    UsageSoFar,
)

logger = logging.getLogger(__name__)

RETRY_FIRST_S = 0.3
RETRY_CAP_S = 5.0
SELF_TEST_EVERY_S = 60.0
WATCH_EVERY_S = 0.25
LATE_S = 5.0
REASON_CHARS = 200
"""What the wire allows: a longer reason would be refused, and with it every heartbeat."""


class ContactHub(Protocol):
    """What contact needs of the hub."""

    async def register(self, registration: RegisterNode) -> Registered: ...

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReply: ...


class Crew(Protocol):
    """The running attempts, as orders reach them."""

    def fences(self) -> list[int]: ...

    def usage(self) -> list[UsageSoFar]: ...

    async def kill(self, fence: int) -> None: ...

    async def take_answer(self, order: AnswerOrder) -> None: ...

    def stop_all(self, stop: Stop, *, hurry: bool = False) -> None: ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...


@dataclass(slots=True)
class Standing:
    """Whether this node takes work. `news` makes the next heartbeat go out at once."""

    news: asyncio.Event
    drained: asyncio.Event
    refusal: str | None = None
    leaving: Leaving | None = None

    @property
    def draining(self) -> bool:
        return self.drained.is_set()

    @property
    def accepting(self) -> bool:
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """Why it takes none."""
        if self.leaving is Leaving.SLEEPING:
            return "going to sleep"
        return "draining" if self.draining else self.refusal

    def drain(self) -> None:
        self.leaving = Leaving.STOPPING
        self.drained.set()
        self.news.set()

    def sleep(self, asleep: bool) -> None:
        """The machine is about to sleep, or is awake again."""
        if self.leaving is not Leaving.STOPPING:
            self.leaving = Leaving.SLEEPING if asleep else None
            self.news.set()


class Contact:
    """Keeps the hub informed: `run` registers and beats, `watch` ends the work when that fails."""

    def __init__(
        self,
        hub: ContactHub,
        crew: Crew,
        standing: Standing,
        clock: Clock,
        *,
        registration: RegisterNode,
        facts: Callable[[], NodeFacts],
        check: Callable[[], str | None],
        self_test: Callable[[], Awaitable[None]],
    ) -> None:
        self._hub = hub
        self._crew = crew
        self._standing = standing
        self._clock = clock
        self._registration = registration
        self._facts = facts
        self._check = check
        self._self_test = self_test
        self._told: dict[int, UsageSoFar] = {}
        self._told_facts: NodeFacts | None = None
        self._tested_at: float | None = None
        self._last_contact_at = clock.monotonic()
        self._answered_at = clock.now()
        self._terms: Registered | None = None
        self._stop_after_s: float | None = None
        self._frozen = False
        self.in_touch = asyncio.Event()

    async def run(self) -> None:
        """Beat for ever. Whatever goes wrong is logged once, retried, and ends no other loop."""
        backoff = Backoff(first_s=RETRY_FIRST_S, cap_s=RETRY_CAP_S)
        lost = False
        while True:
            try:
                terms = self._terms or await self._register()
                await self._beat()
            except (HubUnreachableError, HubError) as error:
                if not lost:
                    logger.warning("hub contact lost", extra={"error": error.message})
                lost = True
                self._after_failure(error)
                await asyncio.sleep(backoff.next_s())
                continue
            if lost:
                logger.info("hub contact restored")
            lost = False
            backoff.reset()
            await self._pause(terms.heartbeat_s)

    def _after_failure(self, error: HubUnreachableError | HubError) -> None:
        self.in_touch.clear()
        if isinstance(error, HubError) and error.hub_status in (404, 409):
            self._terms = None  # the hub does not know this node or instance (any more)
        if isinstance(error, HubError) and error.hub_code == "superseded":
            self._crew.stop_all(Stop(Reason.NO_CONTACT, error.message))
        # `watch` counts no sleep on a Mac; the hub did.
        self._end_after(self._clock.now() - self._answered_at)

    async def watch(self) -> None:
        """End the work once no heartbeat was answered for `stop_after_s`, whatever the cause: soon
        after that the hub gives it to another node. A loop beside `run`, which may hang or fail."""
        while True:
            self._end_after(self._clock.monotonic() - self._last_contact_at)
            self._freeze_after(self._clock.now() - self._answered_at)
            await asyncio.sleep(WATCH_EVERY_S)

    def _end_after(self, silent_s: float) -> None:
        if self._stop_after_s is not None and silent_s > self._stop_after_s:
            self.in_touch.clear()
            detail = f"no contact with the hub for {silent_s:.0f} s"
            # Noticed late, as after a sleep: another node may be at it, so there is no time left.
            late = silent_s > self._stop_after_s + LATE_S
            self._crew.stop_all(Stop(Reason.NO_CONTACT, detail), hurry=late)

    def _freeze_after(self, silent_s: float) -> None:
        """After a long sleep the hub may have given the work away: it stands still until the hub
        was asked. `watch` cannot end it, because the hub may as well have waited for it."""
        if self._frozen or self._stop_after_s is None or silent_s <= self._stop_after_s:
            return
        self._frozen = True
        self._crew.freeze()
        self._standing.news.set()

    async def _register(self) -> Registered:
        facts = self._facts()
        registration = msgspec.structs.replace(self._registration, facts=facts)
        self._terms = await self._hub.register(registration)
        self._told_facts = facts
        self._told.clear()  # another hub, or an older state of it, may have to hear all of it
        # Kept apart: work goes on, and must end in time, while the terms are asked for anew.
        self._stop_after_s = self._terms.stop_after_s
        logger.info(
            "registered",
            extra={"hub_version": self._terms.hub_version, "lease_s": self._terms.lease_s},
        )
        return self._terms

    async def _beat(self) -> None:
        self._standing.news.clear()
        self._note_refusal(self._check())
        reason = self._standing.reason
        facts = self._facts()
        used = self._crew.usage()
        reply = await self._hub.heartbeat(
            Heartbeat(
                running=self._crew.fences(),
                accepting=self._standing.accepting,
                instance_id=self._registration.instance_id,
                not_accepting_reason=reason[:REASON_CHARS] if reason else None,
                leaving=self._standing.leaving,
                facts=None if facts == self._told_facts else facts,
                usage=[item for item in used if self._told.get(item.fence) != item],
            )
        )
        self._told = {item.fence: item for item in used}
        self._told_facts = facts
        self._last_contact_at = self._clock.monotonic()
        self._answered_at = self._clock.now()
        self.in_touch.set()
        for fence in reply.kill:
            await self._crew.kill(fence)
        if self._frozen:
            self._frozen = False
            self._crew.thaw()
        for order in reply.answers:
            await self._crew.take_answer(order)
        if reply.self_test:
            await self._test_itself()

    def _note_refusal(self, refusal: str | None) -> None:
        if refusal and not self._standing.refusal:
            logger.warning("takes no work", extra={"reason": refusal})
        elif self._standing.refusal and not refusal:
            logger.info("takes work again")
        self._standing.refusal = refusal

    async def _test_itself(self) -> None:
        """An open breaker asks with every heartbeat; the finding goes out with the next one."""
        now = self._clock.monotonic()
        if self._tested_at is None or now - self._tested_at > SELF_TEST_EVERY_S:
            self._tested_at = now
            await self._self_test()

    async def _pause(self, heartbeat_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(heartbeat_s):
                await self._standing.news.wait()
