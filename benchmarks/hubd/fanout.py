"""A hundred readers of the event stream: how fast all have seen what one client did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from benchmarks.hubd.wire import Line, hub, operator, spread
from common.wire.admin import Role
from tests.contract.hubd.harness import HubProcess

READERS = 100
PER_TOKEN = 50
"""One token may hold 64 streams."""
EVENTS = 200
ROUNDS = 3


async def measure() -> AsyncIterator[str]:
    async with hub() as process:
        readers = [await _reader(process, number // PER_TOKEN) for number in range(READERS)]
        rates = [await _round(process, readers) for _ in range(ROUNDS)]
        for reader in readers:
            reader.close()
        yield f"fan-out to {READERS}     {spread(rates, 'deliveries/s')}"


async def _reader(process: HubProcess, token: int) -> Line:
    text = await process.hub.token(Role.VIEWER, f"reader-{token}")
    line = await Line.open(process.hub.url, text)
    await line.open_stream("/v1/events")
    return line


async def _round(process: HubProcess, readers: list[Line]) -> float:
    line = await operator(process)

    async def read(reader: Line) -> None:
        for _ in range(EVENTS):
            await reader.next_event()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(read(reader))
        for _ in range(EVENTS):
            await line.post("/v1/tasks", {"prompt": "measure"})
    line.close()
    return EVENTS * len(readers) / (time.perf_counter() - began)
