"""Keeping one daemon alive: started, taken over, watched, started again, ended when asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cli.parent.log_files import last_complaint, log_file
from cli.parent.pauses import Pauses
from cli.parent.plan import Daemon
from cli.parent.record import Alive, DaemonRecord, lock_holder
from cli.parent.running import Running
from common.clock import Clock
from common.errors import EXIT_ALREADY_RUNNING, MeshError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


class Keeper:
    """`wanted` says whether the daemon shall run; `changed` is called when its record is new.

    `before` is the daemon as an earlier parent left it.
    """

    def __init__(
        self,
        daemon: Daemon,
        *,
        env: Mapping[str, str],
        folder: Path,
        logs_dir: Path,
        clock: Clock,
        pauses: Pauses,
        wanted: Callable[[], bool],
        changed: Callable[[], None],
        before: Alive | None = None,
    ) -> None:
        self.daemon = daemon
        self.record = DaemonRecord(state="waiting", since=clock.now())
        self._env = env
        self._folder = folder
        self._logs_dir = logs_dir
        self._clock = clock
        self._pauses = pauses
        self._wanted = wanted
        self._changed = changed
        self._before = before
        self._running: Running | None = None
        self._bell = asyncio.Event()
        self._ending = False
        self._left = False

    def glance(self) -> None:
        """Some child ended: see whether it was this one."""
        self._bell.set()

    def ring(self) -> None:
        """A wish changed, something was mended, or the machine woke up: no more pauses."""
        self._pauses.forget()
        self._bell.set()

    def end(self) -> None:
        """Stop the daemon and be done."""
        self._ending = True
        self._bell.set()

    def leave(self) -> None:
        """Be done and let the daemon run on, for the next parent to take over."""
        self._left = True
        self._bell.set()

    def hurry(self) -> None:
        """A second signal: the daemon ends now what it would have finished."""
        if self._running is not None and self._running.ours:
            self._running.terminate()

    async def keep(self) -> None:
        """Return when asked to end or to leave. May be called again after it failed."""
        while not (self._ending or self._left):
            if not self._wanted() and self._running is None:
                self._say("stopped")
                await self._pause(None)
            elif (running := self._running or self._take_over()) is not None:
                await self._stay(running)
            else:
                await self._run_once()
        if self._ending:
            self._say("stopped")

    def _take_over(self) -> Running | None:
        before, self._before = self._before, None
        if before is None or before.process() is None:
            return None
        return Running(before, child=None, ours=True)

    async def _run_once(self) -> None:
        started_at = self._clock.monotonic()
        try:
            running = Running.start(
                self.daemon, env=self._env, folder=self._folder, logs_dir=self._logs_dir
            )
        except (OSError, MeshError) as error:
            await self._wait_after(None, 0.0, f"it could not be started: {error}")
            return
        await self._stay(running)
        if not running.gone or not self._shall_run():
            return
        holder = lock_holder(self.daemon.lock_file)
        if running.exit_code == EXIT_ALREADY_RUNNING and holder is not None:
            await self._stay(Running(holder, child=None, ours=False))
            return
        failed = running.exit_code != 0
        complaint = last_complaint(log_file(self._logs_dir, self.daemon.name)) if failed else None
        ran_s = self._clock.monotonic() - started_at
        await self._wait_after(running.exit_code, ran_s, complaint)

    async def _stay(self, running: Running) -> None:
        """Stay beside the daemon until it is gone, was stopped as asked, or we leave."""
        self._running = running
        self._say("starting" if running.ours else "elsewhere", running.alive)
        logger.info("daemon watched", extra=self._about(running))
        while not running.gone and not self._left:
            if not self._shall_run():
                if running.ours:
                    await self._stop(running)
                break
            if self.record.state == "starting" and self._holds_its_lock(running):
                self._say("running", running.alive)
            starting = self.record.state == "starting"
            await self._pause(LOOK_EVERY_S / 10 if starting else LOOK_EVERY_S)
        self._running = None

    def _holds_its_lock(self, running: Running) -> bool:
        """A daemon writes its pid there once it is the only one of its kind."""
        try:
            return self.daemon.lock_file.read_text().strip() == str(running.alive.pid)
        except OSError:
            return False

    async def _stop(self, running: Running) -> None:
        """TERM, and KILL when its time is over."""
        self._say("stopping", running.alive)
        logger.info("daemon stopping", extra=self._about(running))
        running.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.daemon.stop_s):
                while not running.gone:
                    await self._pause(LOOK_EVERY_S / 4)
        if not running.gone:
            logger.warning("daemon killed", extra=self._about(running))
            running.kill()
        while not running.gone:
            await self._pause(LOOK_EVERY_S / 4)

    async def _wait_after(self, exit_code: int | None, ran_s: float, error: str | None) -> None:
        now = self._clock.monotonic()
        pause_s = self._pauses.after(exit_code, ran_s=ran_s, now=now)
        about = {"daemon": self.daemon.name, "exit_code": exit_code, "ran_s": round(ran_s, 1)}
        level = logging.INFO if exit_code == 0 else logging.WARNING
        logger.log(level, "daemon ended", extra=about | {"retry_in_s": round(pause_s, 1)})
        state = "degraded" if self._pauses.degraded(now) else "waiting"
        self._say(state, error=error, retry_in_s=pause_s, restarts=self.record.restarts + 1)
        ends_at = now + pause_s
        self._bell.clear()
        while (left_s := ends_at - self._clock.monotonic()) > 0:
            if await self._pause(left_s) and (self._pauses.fresh or not self._shall_run()):
                return

    def _shall_run(self) -> bool:
        return not self._ending and not self._left and self._wanted()

    async def _pause(self, seconds: float | None) -> bool:
        """Wait for the bell, at most so long; whether it rang."""
        rang = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()
                rang = True
        self._bell.clear()
        return rang

    def _about(self, running: Running) -> dict[str, object]:
        return {"daemon": self.daemon.name, "pid": running.alive.pid}

    def _say(
        self,
        state: str,
        process: Alive | None = None,
        *,
        error: str | None = None,
        retry_in_s: float | None = None,
        restarts: int | None = None,
    ) -> None:
        now = self._clock.now()
        self.record = DaemonRecord(
            state=state,
            process=process,
            since=now,
            restarts=self.record.restarts if restarts is None else restarts,
            error=error,
            retry_at=None if retry_in_s is None else now + retry_in_s,
        )
        self._changed()
