"""The parent itself: one keeper a daemon, and what it does every few seconds."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cli.parent.keeper import Keeper
from cli.parent.log_files import log_file, turn_over
from cli.parent.pauses import Pauses
from cli.parent.plan import HUBD, Daemon
from cli.parent.record import OURS, Alive, ParentRecord, read_record, write_record
from cli.parent.wishes import stopped
from common.clock import Clock
from common.paths import MeshPaths
from common.supervise import Supervisor
from common.version import VERSION

logger = logging.getLogger(__name__)

TICK_S = 2.0
TOUCH_EVERY_S = 60.0
SLEPT_S = 10.0
"""The wall clock ran ahead of the other by so much: the machine slept in between."""


class House:
    """Owns the keepers of all daemons."""

    def __init__(
        self, daemons: Iterable[Daemon], paths: MeshPaths, env: Mapping[str, str], clock: Clock
    ) -> None:
        self._paths = paths
        self._clock = clock
        self._stopped = stopped(paths)
        before = read_record(paths)
        self._keepers = [
            Keeper(
                daemon,
                env=env,
                folder=paths.state_dir,
                logs_dir=paths.logs_dir,
                clock=clock,
                pauses=Pauses(),
                wanted=lambda name=daemon.name: name not in self._stopped,  # type: ignore[misc]
                changed=self._write,
                before=_left_by(before, daemon.name),
            )
            for daemon in daemons
        ]
        self._me = Alive.of(os.getpid())
        self._leaving = asyncio.Event()

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Keep the daemons until `stop` is set or `leave` was called."""
        supervisor = Supervisor(clock=self._clock)
        tasks = {
            keeper.daemon.name: asyncio.create_task(
                supervisor.keep(keeper.daemon.name, keeper.keep), name=keeper.daemon.name
            )
            for keeper in self._keepers
        }
        ticking = asyncio.create_task(supervisor.keep("tick", self._tick), name="tick")
        hurrying = asyncio.create_task(self._hurry(hurry), name="hurry")
        ends = [asyncio.create_task(event.wait(), name="end") for event in (stop, self._leaving)]
        try:
            await asyncio.wait([ticking, *ends], return_when=asyncio.FIRST_COMPLETED)
            if not self._leaving.is_set():
                await self._stop_all(tasks)
            await asyncio.gather(*tasks.values())
        finally:
            for task in (ticking, hurrying, *ends):
                task.cancel()
            await asyncio.gather(ticking, hurrying, *ends, return_exceptions=True)

    def glance(self) -> None:
        """A child ended."""
        for keeper in self._keepers:
            keeper.glance()

    def look(self) -> None:
        """Read the wishes again and let every keeper act on them."""
        self._stopped = stopped(self._paths)
        for keeper in self._keepers:
            keeper.ring()

    def leave(self) -> None:
        """Go, and leave the daemons to the next parent."""
        for keeper in self._keepers:
            keeper.leave()
        self._leaving.set()

    async def _stop_all(self, tasks: Mapping[str, asyncio.Task[None]]) -> None:
        """The hub last: the others still have things to report to it."""
        for keeper in self._keepers:
            if keeper.daemon.name != HUBD:
                keeper.end()
        await asyncio.gather(*(task for name, task in tasks.items() if name != HUBD))
        for keeper in self._keepers:
            keeper.end()

    async def _hurry(self, hurry: asyncio.Event) -> None:
        await hurry.wait()
        for keeper in self._keepers:
            keeper.hurry()

    async def _tick(self) -> None:
        """Notice sleep, show that we live, keep the logs small."""
        ahead = self._ahead()
        touched_at = -TOUCH_EVERY_S
        while True:
            now = self._clock.monotonic()
            if now - touched_at >= TOUCH_EVERY_S:
                touched_at = now
                await asyncio.to_thread(self._keep_tidy)
            await asyncio.sleep(TICK_S)
            gap_s = self._ahead() - ahead
            ahead += gap_s
            if gap_s > SLEPT_S:
                logger.info("woke up", extra={"slept_s": round(gap_s)})
                self.look()

    def _ahead(self) -> float:
        return self._clock.now() - self._clock.monotonic()

    def _keep_tidy(self) -> None:
        lock = self._paths.lock_file("parent")
        if lock.exists():
            os.utime(lock)
        for file in self._log_files():
            if turn_over(file):
                logger.info("log turned over", extra={"file": file.name})

    def _log_files(self) -> list[Path]:
        names = [keeper.daemon.name for keeper in self._keepers]
        return [log_file(self._paths.logs_dir, name) for name in ("parent", *names)]

    def _write(self) -> None:
        if self._me is None:
            return
        daemons = {keeper.daemon.name: keeper.record for keeper in self._keepers}
        record = ParentRecord(parent=self._me, version=VERSION, daemons=daemons)
        try:
            write_record(self._paths, record)
        except OSError as error:
            # On a full disk the daemons still have to be looked after; what is missing is news.
            logger.warning("record not written", extra={"error": error.strerror})


def _left_by(before: ParentRecord | None, name: str) -> Alive | None:
    """The daemon an earlier parent started, if that record says so."""
    record = before.daemons.get(name) if before else None
    return record.process if record is not None and record.state in OURS else None
