"""`python -m benchmarks.imsgd` prints the bridge's figures and fails when one misses its target."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from benchmarks.imsgd import delay, growth, history, resting
from common.config.schema import BridgeConfig
from tests.contract.imsgd.bench import bridge_bench

TIME_LIMIT_S = 600.0
"""Three minutes are enough for a machine that has nothing else to do."""


class Figure(Protocol):
    @property
    def missed(self) -> bool: ...

    def line(self) -> str: ...


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def figures(folder: Path, *, messages: int, seed: int) -> AsyncIterator[Figure]:
    """Measure one after the other on one chat.db, at the settings a bridge has by default."""
    mesh_home = folder / "mesh"
    mesh_home.mkdir(mode=0o700)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MESH_HOME": str(mesh_home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder),
    }
    began = time.monotonic()
    await asyncio.to_thread(history.make, folder / "messages" / "chat.db", messages)
    _say(f"{messages:,} messages in chat.db, written in {time.monotonic() - began:.0f} s")
    default = BridgeConfig()
    async with bridge_bench(
        folder,
        env,
        poll_ms=default.poll_ms,
        max_per_minute=default.max_per_minute,
        send_timeout_s=default.send_timeout_s,
        verify_s=default.verify_s,
    ) as bench:
        yield await resting.measure(bench)
        yield await delay.measure(bench, folder, random.Random(seed))
        yield await growth.measure(bench)


async def measure(*, messages: int, seed: int) -> bool:
    """Print everything; whether a target was missed."""
    missed = False
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as name:
        async with asyncio.timeout(TIME_LIMIT_S):
            async for figure in figures(Path(name), messages=messages, seed=seed):
                _say(figure.line())
                missed |= figure.missed
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    return int(asyncio.run(measure(messages=options.messages, seed=options.seed)))


if __name__ == "__main__":
    sys.exit(main())
