"""How long a text in chat.db takes until it is a task in a real hub, by the hub's own clock."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from common.client import OperatorApi
from common.wire.admin import Role
from tests.contract.hubd.harness import HubProcess
from tests.contract.imsgd.bench import OWNER, Bench

TEXTS = 100
APART_S = (0.1, 0.9)
TARGET_P50_S = 0.3
TARGET_P99_S = 0.6
ARRIVE_S = 30.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds from the commit of the text's row to the task, in order."""

    seconds: list[float]

    @property
    def p50_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p99_s(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

    @property
    def missed(self) -> bool:
        return self.p50_s > TARGET_P50_S or self.p99_s > TARGET_P99_S

    def line(self) -> str:
        low, high = min(self.seconds) * 1000, max(self.seconds) * 1000
        return (
            f"{'text to task':16} p50 {self.p50_s * 1000:.0f} ms  p99 {self.p99_s * 1000:.0f} ms"
            f"  [{low:.0f} to {high:.0f}] over {len(self.seconds)} texts"
            f" (targets {TARGET_P50_S * 1000:.0f} and {TARGET_P99_S * 1000:.0f} ms)"
        )


async def measure(bench: Bench, folder: Path, rng: random.Random) -> Delay:
    """Text a bridge that reports to a real hub, and ask the hub afterwards when it knew."""
    home = folder / "hub"
    home.mkdir(mode=0o700)
    own_env = bench.env
    hub_env = {key: own_env[key] for key in ("PATH", "HOME", "LANG")}
    process = HubProcess(home, {**hub_env, "MESH_BRIDGE__ALLOW": json.dumps([OWNER])})
    try:
        await asyncio.to_thread(process.start)
        token = await process.hub.token(Role.BRIDGE)
        bench.env = {**own_env, "MESH_HUB_URL": process.hub.url, "MESH_TOKEN": token}
        await bench.start(ready=False)
        await bench.until_reading()
        delay = await _measure(bench, process, rng)
        await bench.stop()
        await asyncio.to_thread(process.stop)
        return delay
    finally:
        bench.env = own_env
        process.close()


async def _measure(bench: Bench, process: HubProcess, rng: random.Random) -> Delay:
    written: dict[str, float] = {}
    for number in range(TEXTS):
        await asyncio.sleep(rng.uniform(*APART_S))
        text = f"measure the shed, part {number}"
        written[text] = time.time()
        await bench.world.text(text)
    async with await process.hub.client(Role.OPERATOR) as client:
        known = await _known(OperatorApi(client))
    return Delay([known[text] - at for text, at in written.items()])


async def _known(operator: OperatorApi) -> dict[str, float]:
    """When each text became a task."""
    deadline = time.monotonic() + ARRIVE_S
    while len(tasks := (await operator.tasks(limit=TEXTS + 1)).tasks) < TEXTS:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the hub knows {len(tasks)} of {TEXTS} texts after {ARRIVE_S} s")
        await asyncio.sleep(0.2)
    return {task.prompt: task.created_at.timestamp() for task in tasks}
