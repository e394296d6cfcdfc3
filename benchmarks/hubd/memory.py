"""Resident memory of the hub: idle, and with a hundred nodes that beat and wait for work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psutil

from benchmarks.hubd.wire import Line, hub, node
from tests.contract.hubd.harness import HubProcess

NODES = 100
BEATS = 5


async def measure() -> AsyncIterator[str]:
    async with hub() as process:
        await asyncio.sleep(1)
        yield f"memory, idle       {_rss_mb(process):.0f} MB"
        names = [f"node-{number:03}" for number in range(NODES)]
        beating = {name: await node(process, name, 5) for name in names}
        waiting = {name: await node(process, name, 5) for name in names}
        claims = [asyncio.create_task(_claim(line, name)) for name, line in waiting.items()]
        for _ in range(BEATS):
            await asyncio.gather(
                *(line.post(f"/v1/nodes/{name}/heartbeat", {}) for name, line in beating.items())
            )
        yield f"memory, {NODES} nodes  {_rss_mb(process):.0f} MB"
        for claim in claims:
            claim.cancel()
        await asyncio.wait(claims)
        for line in (*beating.values(), *waiting.values()):
            line.close()


async def _claim(line: Line, name: str) -> None:
    await line.post(f"/v1/nodes/{name}/claim", {"free_slots": 5, "wait_s": 30})


def _rss_mb(process: HubProcess) -> float:
    assert process.process is not None
    return float(psutil.Process(process.process.pid).memory_info().rss) / 1e6
