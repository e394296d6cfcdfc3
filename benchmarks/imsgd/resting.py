"""What the bridge costs while nobody writes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psutil

from tests.contract.imsgd.bench import Bench

SETTLE_S = 5.0
WINDOW_S = 10.0
WINDOWS = 3
TARGET_PERCENT = 0.5


@dataclass(frozen=True, slots=True)
class Resting:
    """Percent of one processor in each of the windows."""

    percents: list[float]
    resident_mb: float

    @property
    def percent(self) -> float:
        return sum(self.percents) / len(self.percents)

    @property
    def missed(self) -> bool:
        return self.percent >= TARGET_PERCENT

    def line(self) -> str:
        return (
            f"{'idle':16} {self.percent:.2f} % CPU"
            f" [{min(self.percents):.2f} to {max(self.percents):.2f}] over"
            f" {WINDOWS * WINDOW_S:.0f} s (target < {TARGET_PERCENT} %), {self.resident_mb:.0f} MB"
        )


async def measure(bench: Bench) -> Resting:
    """Start the bridge, let it settle, and watch it do nothing."""
    await bench.start()
    assert bench.process is not None
    bridge = psutil.Process(bench.process.pid)
    await asyncio.sleep(SETTLE_S)
    percents = [await _window(bridge) for _ in range(WINDOWS)]
    resident_mb = bridge.memory_info().rss / 2**20
    await bench.stop()
    return Resting(percents, resident_mb)


async def _window(bridge: psutil.Process) -> float:
    began, before = time.monotonic(), sum(bridge.cpu_times()[:2])
    await asyncio.sleep(WINDOW_S)
    used = sum(bridge.cpu_times()[:2]) - before
    return 100.0 * used / (time.monotonic() - began)
