"""The parent's house, with small programs in the daemons' place."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cli.parent.house import House
from cli.parent.log_files import MAX_BYTES, old_logs
from cli.parent.plan import Daemon
from cli.parent.record import DaemonRecord, read_record
from common.paths import MeshPaths

DEADLINE_S = 30.0


class JumpingClock:
    """The machine's clocks, with a wall clock that a test can move ahead as a sleep does."""

    def __init__(self) -> None:
        self.slept_s = 0.0
        self.passed_s = 0.0

    def now(self) -> float:
        return self.monotonic() + 1e9 + self.slept_s

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.passed_s


def small(folder: Path, code: str) -> Daemon:
    argv = (sys.executable, "-c", code)
    return Daemon("hubd", argv, folder / "hubd.lock", stop_s=0.5)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what it waits for is in a file
            await asyncio.sleep(0.02)


def record_of(paths: MeshPaths) -> DaemonRecord | None:
    record = read_record(paths)
    return record.daemons.get("hubd") if record else None


class Open:
    """A house that runs for as long as the block."""

    def __init__(self, folder: Path, code: str) -> None:
        self.paths = MeshPaths(config_dir=folder, state_dir=folder)
        self.clock = JumpingClock()
        self.stop = asyncio.Event()
        daemons = [small(folder, code)]
        self.house = House(daemons, self.paths, {"PATH": "/usr/bin:/bin"}, self.clock)

    async def __aenter__(self) -> Open:
        self._run = asyncio.create_task(self.house.run(self.stop, asyncio.Event()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self._run

    @property
    def record(self) -> DaemonRecord:
        return record_of(self.paths) or DaemonRecord(state="unknown")


async def test_waking_up_tries_again_at_once(mesh_home: Path) -> None:
    async with Open(mesh_home, "raise SystemExit(78)") as it:
        await until(lambda: it.record.restarts == 1 and it.record.retry_at)

        it.clock.slept_s += 3600

        await until(lambda: it.record.restarts == 2)


async def test_every_minute_it_shows_that_it_lives_and_keeps_the_logs_small(
    mesh_home: Path,
) -> None:
    lock, log = mesh_home / "parent.lock", mesh_home / "logs/hubd.log"
    lock.touch()
    async with Open(mesh_home, "import time; time.sleep(99)") as it:
        await until(log.exists)
        await until(lambda: it.record.state == "starting")
        for _ in range(2):
            os.utime(lock, (0, 0))
            os.truncate(log, MAX_BYTES + 1)

            it.clock.passed_s += 61

            await until(lambda: lock.stat().st_mtime > 0)
            await until(lambda: log.stat().st_size == 0)

    assert [old.name for old in old_logs(log)] == ["hubd.log.2", "hubd.log.1"]


async def test_a_daemon_that_ignores_term_is_killed_when_its_time_is_over(mesh_home: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); "
        "print(1, flush=True); time.sleep(99)"
    )
    async with Open(mesh_home, stubborn) as it:
        log = mesh_home / "logs/hubd.log"
        await until(lambda: log.exists() and log.read_text())
        process = it.record.process
        assert process is not None

    assert process.process() is None
    assert record_of(it.paths) == DaemonRecord(state="stopped", since=it.record.since)


async def test_a_program_that_is_not_there_is_a_sentence(mesh_home: Path) -> None:
    it = Open(mesh_home, "")
    it.house = House(
        [Daemon("hubd", ("/no/such/program",), mesh_home / "hubd.lock")], it.paths, {}, it.clock
    )
    async with it:
        await until(lambda: it.record.error)

        assert it.record.error is not None
        assert "could not be started" in it.record.error
        assert "/no/such/program" in it.record.error
