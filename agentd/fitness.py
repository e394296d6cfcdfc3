"""Whether the programs this node needs are there. While one is not, the node takes no work and
says why; it looks again until it is, so that nobody has to restart anything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from agentd.contact import Standing
from agentd.errors import UnfitError
from agentd.git import Git
from agentd.runners.protocol import FindsItself, Runner
from common.clock import Clock
from common.supervise import Backoff
from common.wire.nodes import Lease

logger = logging.getLogger(__name__)

LOOK_FIRST_S = 1.0
LOOK_CAP_S = 15.0
STEADY_S = 60.0
"""Found and missing again within that time: it is looked for less often, not more."""

Look = Callable[[], Awaitable[object]]
"""Raises UnfitError while the program is still not there."""


class Fitness:
    """`check` before each attempt, `run` beside everything."""

    def __init__(
        self, runner: Runner, standing: Standing, clock: Clock, environment: Mapping[str, str]
    ) -> None:
        self._runner = runner
        self._standing = standing
        self._clock = clock
        self._environment = environment
        self._backoff = Backoff(first_s=LOOK_FIRST_S, cap_s=LOOK_CAP_S)
        self._fit_since = clock.monotonic()
        self._missing: dict[str, Look] = {}
        self._news = asyncio.Event()
        self.refusal: str | None = None

    async def check(self, lease: Lease) -> None:
        """Raises UnfitError when this lease cannot be run here now."""
        try:
            if isinstance(self._runner, FindsItself):
                await self._runner.find()
        except UnfitError as error:
            self.note(error)
            raise
        if lease.task.project is not None:
            try:
                await self._find_git()
            except UnfitError as error:
                self._note("git", self._find_git, error)
                raise

    def note(self, error: UnfitError) -> None:
        """The runner's program turned out not to work."""
        self._note("runner", self._runner.check, error)

    def _note(self, what: str, look: Look, error: UnfitError) -> None:
        logger.warning("takes no work", extra={"reason": error.message})
        if self._clock.monotonic() - self._fit_since > STEADY_S:
            self._backoff.reset()
        self._missing[what] = look
        # At once, so that no claim goes out before the next heartbeat has said it.
        self.refusal = self._standing.refusal = error.message
        self._standing.news.set()
        self._news.set()

    async def _find_git(self) -> None:
        Git.found(self._environment)

    async def run(self) -> None:
        """Look for what is missing until it is there."""
        while True:
            await self._news.wait()
            await asyncio.sleep(self._backoff.next_s())
            if not await self._look():
                continue
            self._fit_since = self._clock.monotonic()
            self._news.clear()
            self.refusal = None
            self._standing.news.set()
            logger.info("its programs are there again")

    async def _look(self) -> bool:
        for what, look in list(self._missing.items()):
            try:
                await look()
            except UnfitError as error:
                if error.message != self.refusal:
                    self.refusal = error.message
                    self._standing.news.set()
                return False
            del self._missing[what]
        return True
