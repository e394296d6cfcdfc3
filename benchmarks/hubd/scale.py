"""A million finished tasks: starting, claiming and looking must not notice them."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

from benchmarks.hubd.latency import Latency, sample
from benchmarks.hubd.wire import hub, spread

FINISHED = 1_000_000
STARTS = 3
SAMPLES = 60


async def measure() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "mesh"
        async with hub(home) as process:
            empty = await sample(process, SAMPLES)
        yield f"claim, 0 finished  {_times(empty)}"
        yield f"start, 0 finished  {spread(await _starts(home), 's', 2)}"
        began = time.perf_counter()
        copies = await asyncio.to_thread(multiply, home / "hub.db", FINISHED)
        yield f"{copies:,} finished tasks made in {time.perf_counter() - began:.0f} s"
        yield f"start, 1,000,000   {spread(await _starts(home), 's', 2)}"
        async with hub(home) as process:
            full = await sample(process, SAMPLES)
        yield f"claim, 1,000,000   {_times(full)}"


def _times(latency: Latency) -> str:
    return f"p50 {latency.p50_s * 1000:.1f} ms  p99 {latency.p99_s * 1000:.1f} ms"


async def _starts(home: Path) -> list[float]:
    """Seconds from spawn to the listening socket."""
    taken = []
    for _ in range(STARTS):
        began = time.perf_counter()
        async with hub(home):
            taken.append(time.perf_counter() - began)
    return taken


def multiply(database: Path, wanted: int) -> int:
    """Copy a finished task until there are so many; returns how many there are."""
    with closing(sqlite3.connect(database)) as conn:
        columns = [row[1] for row in conn.execute("PRAGMA table_info(tasks)") if row[1] != "id"]
        names = ", ".join(columns)
        conn.execute(
            f"INSERT INTO tasks ({names}) "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            f"SELECT {names} FROM n, "
            f"(SELECT {names} FROM tasks WHERE state = 'succeeded' LIMIT 1)",
            (wanted,),
        )
        conn.commit()
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(conn.execute("SELECT count(*) FROM tasks").fetchone()[0])
