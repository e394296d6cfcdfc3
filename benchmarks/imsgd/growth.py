"""Resident memory of a bridge through which a hundred thousand new messages go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psutil

from benchmarks.imsgd import history
from tests.contract.imsgd.bench import Bench

MESSAGES = 100_000
WARM_UP = 10_000
"""Until the caches of both databases and the list of judged rows are full."""
SAMPLE_EVERY = 10_000
TEXT_EVERY = 200
"""One message in so many is the owner's, goes to the hub and is acknowledged."""
TARGET_MB = 4.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident megabytes after the warm-up, and after each further ten thousand messages."""

    samples_mb: list[float]

    @property
    def grown_mb(self) -> float:
        return self.samples_mb[-1] - self.samples_mb[0]

    @property
    def missed(self) -> bool:
        return self.grown_mb > TARGET_MB

    def line(self) -> str:
        low, high = min(self.samples_mb), max(self.samples_mb)
        return (
            f"{'memory':16} {self.samples_mb[0]:.1f} MB, after {MESSAGES:,} more messages"
            f" {self.samples_mb[-1]:.1f} MB: {self.grown_mb:+.1f} MB [{low:.1f} to {high:.1f}]"
            f" (target at most {TARGET_MB:.0f} MB)"
        )


async def measure(bench: Bench) -> Growth:
    await bench.start()
    assert bench.process is not None
    bridge = psutil.Process(bench.process.pid)
    await _feed(bench, WARM_UP)
    samples = [bridge.memory_info().rss / 2**20]
    for _ in range(MESSAGES // SAMPLE_EVERY):
        await _feed(bench, SAMPLE_EVERY)
        samples.append(bridge.memory_info().rss / 2**20)
    await bench.stop()
    return Growth(samples)


async def _feed(bench: Bench, messages: int) -> None:
    """Messages of others with the owner's between them, until the hub has all of the owner's."""
    for _ in range(messages // TEXT_EVERY):
        await asyncio.to_thread(history.add, bench.world.store.path, TEXT_EVERY - 1)
        await bench.world.text(f"item {len(bench.world.bubbles)}")
    last = bench.world.bubbles[-1].text
    await bench.hub.heard(last, timeout_s=60.0)
