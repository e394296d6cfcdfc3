"""`python -m benchmarks.hubd` prints the hub's figures and fails when one misses its target."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.hubd import fanout, latency, memory, scale, throughput


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def measure() -> bool:
    """Print everything; whether a target was missed."""
    missed = False
    for area in (throughput, fanout, memory):
        async for line in area.measure():
            _say(line)
    async for found in latency.measure():
        _say(f"{found.line()}  (target p99 {latency.TARGET_P99_S * 1000:.0f} ms)")
        missed |= found.p99_s > latency.TARGET_P99_S
    async for line in scale.measure():
        _say(line)
    return missed


if __name__ == "__main__":
    sys.exit(int(asyncio.run(measure())))
