"""From a submit to the node that waited for it: how long an idle mesh lets a task lie."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from benchmarks.hubd.wire import Line, hub, node, operator, percentile
from tests.contract.hubd.harness import HubProcess

SAMPLES = 300
TARGET_P99_S = 0.050


@dataclass(frozen=True, slots=True)
class Latency:
    p50_s: float
    p99_s: float

    def line(self) -> str:
        return f"claim latency      p50 {self.p50_s * 1000:.1f} ms  p99 {self.p99_s * 1000:.1f} ms"


async def measure() -> AsyncIterator[Latency]:
    async with hub() as process:
        yield await sample(process, SAMPLES)


async def sample(process: HubProcess, samples: int) -> Latency:
    """Submit while a claim waits, so many times; from the first byte to the lease."""
    submitter = await operator(process)
    waiting = await node(process, "Rex", 1)
    worker = await node(process, "Rex", 1)
    taken = [await _once(submitter, waiting, worker) for _ in range(samples)]
    for line in (submitter, waiting, worker):
        line.close()
    return Latency(percentile(taken, 0.5), percentile(taken, 0.99))


async def _once(submitter: Line, waiting: Line, worker: Line) -> float:
    claim = asyncio.create_task(
        waiting.post("/v1/nodes/Rex/claim", {"free_slots": 1, "wait_s": 10}), name="claim"
    )
    await asyncio.sleep(0.01)  # the claim lies in the hub before there is anything to take
    began = time.perf_counter()
    submitting = asyncio.create_task(
        submitter.post("/v1/tasks", {"prompt": "measure"}), name="submit"
    )
    (lease,) = (await claim)["leases"]
    taken = time.perf_counter() - began
    await submitting
    await worker.post(f"/v1/attempts/{lease['fence']}/start", {})
    await worker.post(f"/v1/attempts/{lease['fence']}/result", {"outcome": "ok"})
    return taken
