"""A hub without HTTP: the real store and services on a real file, with a clock tests move."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec

from common.clock import to_datetime
from common.config import BridgeConfig, Config
from common.wire.admin import Role
from common.wire.facts import NodeFacts, ProjectFacts
from common.wire.messages import (
    ClaimOutbox,
    InboundMessage,
    MessageReceipt,
    OutboxItem,
    OutboxOutcome,
)
from common.wire.nodes import (
    Applied,
    Claim,
    Heartbeat,
    Lease,
    PostResult,
    RegisterNode,
    StartAttempt,
)
from common.wire.tasks import SubmitTask, Task, TaskDetail, Usage
from hubd.domain.actors import Actor
from hubd.services.wiring import Services, build_services
from hubd.store.database import Database, open_database

START = 1_780_000_000.0
ME = "+491511234567"
CHAT = f"iMessage;-;{ME}"
OPERATOR = Actor(Role.OPERATOR, "me", "control")
BRIDGE = Actor(Role.BRIDGE, "bridge")

CONFIG = Config(bridge=BridgeConfig(allow=[ME]))


@dataclass(slots=True)
class FakeClock:
    """Both clocks, moved together by `advance`; `jump` moves the wall clock alone."""

    wall: float = START
    mono: float = 1000.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    def jump(self, seconds: float) -> None:
        self.wall += seconds


def node_actor(name: str) -> Actor:
    return Actor(Role.NODE, name)


def projects(*names: str, **more: Any) -> NodeFacts:
    """What a node says that has these."""
    return NodeFacts(projects=[ProjectFacts(name=name, **more) for name in names])


def no_price(_: Usage) -> float | None:
    return None


@dataclass(slots=True)
class Hub:
    """What tests do to a hub, in few words."""

    database: Database
    services: Services
    clock: FakeClock
    texts: int = 0
    orders: int = 0
    beats: dict[str, list[int]] = field(default_factory=dict)

    async def node(self, name: str, **fields: Any) -> None:
        request = RegisterNode(
            **{"slots": 2, "account": "main", "instance_id": f"{name}-1"} | fields
        )
        await self.services.nodes.register(name, request, by=node_actor(name))

    async def beat(self, name: str, *running: int, **fields: Any) -> Any:
        return await self.services.nodes.heartbeat(
            name,
            Heartbeat(**{"running": list(running), "instance_id": f"{name}-1"} | fields),
            by=node_actor(name),
        )

    async def submit(self, prompt: str = "do it", *, key: str | None = None, **fields: Any) -> Task:
        request = SubmitTask(prompt=prompt, **fields)
        return (await self.services.tasks.submit(request, key=key, by=OPERATOR)).task

    async def claim(self, name: str, free: int = 8, wait_s: float = 0.0) -> list[Lease]:
        claimed = await self.services.attempts.claim(name, Claim(free_slots=free, wait_s=wait_s))
        return claimed.leases

    async def start(self, fence: int, name: str, **fields: Any) -> Applied:
        return await self.services.attempts.start(
            fence, StartAttempt(**fields), by=node_actor(name)
        )

    async def result(self, fence: int, name: str, outcome: str = "ok", **fields: Any) -> Applied:
        fields = {"text": "done and dusted" if outcome == "ok" else ""} | fields
        return await self.services.attempts.result(
            fence, PostResult(outcome=outcome, **fields), by=node_actor(name)
        )

    async def run_one(self, name: str, outcome: str = "ok", **fields: Any) -> Lease:
        """Claim, start and end one task."""
        (lease,) = await self.claim(name, free=1)
        await self.start(lease.fence, name)
        await self.result(lease.fence, name, outcome, **fields)
        return lease

    async def task(self, task_id: int) -> TaskDetail:
        return await self.services.tasks.get(task_id)

    async def text(self, text: str, **fields: Any) -> MessageReceipt:
        """A text from the owner's phone."""
        self.texts += 1
        self.orders += 1
        message = InboundMessage(
            **{
                "guid": f"guid-{self.texts}",
                "chat": CHAT,
                "sender": ME,
                "text": text,
                "sent_at": to_datetime(self.clock.now()),
                "order": self.orders,
            }
            | fields
        )
        return await self.services.conversation.receive(message, by=BRIDGE)

    async def replies(self) -> list[str]:
        """What the bridge would send now; it all arrives."""
        return [item.text for item in await self.deliver()]

    async def deliver(self) -> list[OutboxItem]:
        claimed = await self.services.outbox.claim(ClaimOutbox(wait_s=0, limit=50), by=BRIDGE)
        for item in claimed.items:
            self.orders += 1
            outcome = OutboxOutcome(
                outcome="sent", guid=f"out-guid-{item.id}", claim=item.claim, order=self.orders
            )
            await self.services.outbox.resolve(item.id, outcome, by=BRIDGE)
        return claimed.items

    async def say(self, text: str, **fields: Any) -> list[str]:
        """Text and hear what comes back at once."""
        await self.text(text, **fields)
        return await self.replies()

    async def tick(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        await self.services.reaper.tick()

    async def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Any]:
        return await self.database.read(
            lambda view: view.conn.execute(sql, params or {}).fetchall()
        )


def configured(**tables: Mapping[str, Any]) -> Config:
    """The test configuration with some keys changed: `configured(hub={"lease_s": 50})`."""
    changes = {
        name: msgspec.structs.replace(getattr(CONFIG, name), **fields)
        for name, fields in tables.items()
    }
    return msgspec.structs.replace(CONFIG, **changes)


@asynccontextmanager
async def open_hub(
    path: Path,
    *,
    config: Config = CONFIG,
    clock: FakeClock | None = None,
    synchronous: str = "OFF",
    seed: int = 1,
    estimate: Callable[[Usage], float | None] = no_price,
) -> AsyncIterator[Hub]:
    """A hub with its dispatcher running; the reaper moves by `Hub.tick` only."""
    clock = clock or FakeClock()
    async with open_database(path, clock=clock, synchronous=synchronous) as database:
        services = build_services(
            database, config, clock=clock, rng=random.Random(seed), estimate=estimate, zone=UTC
        )
        dispatcher = asyncio.create_task(services.dispatcher.run(), name="dispatcher")
        try:
            yield Hub(database, services, clock)
        finally:
            services.close_streams()
            dispatcher.cancel()
            await asyncio.gather(dispatcher, return_exceptions=True)
