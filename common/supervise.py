"""Keeping loops alive: each fails, is logged, backs off and starts again, alone.

`asyncio.TaskGroup` ends the siblings of a task that fails; a daemon that must last the night
cannot have that. Whoever calls `run_supervised` owns the tasks and awaits them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from common.clock import Clock, SystemClock
from common.errors import MeshError

logger = logging.getLogger(__name__)

Loop = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Backoff:
    """Full-jitter exponential pauses: `first_s` doubling to `cap_s`."""

    first_s: float = 0.5
    cap_s: float = 60.0
    rng: random.Random = field(default_factory=random.Random)
    _failures: int = 0

    def next_s(self) -> float:
        """The pause after one more failure; never under a fifth of its ceiling."""
        ceiling = min(self.cap_s, self.first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return self.rng.uniform(ceiling / 5, ceiling)

    def reset(self) -> None:
        self._failures = 0


@dataclass(slots=True)
class LoopHealth:
    """What a metrics page shows of one loop."""

    restarts: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Runs named loops until cancelled. A loop that ran `healthy_s` starts with a fresh back-off;
    one that returns is done. `fatal` errors end the whole group."""

    clock: Clock = field(default_factory=SystemClock)
    backoff: Callable[[], Backoff] = Backoff
    healthy_s: float = 60.0
    fatal: tuple[type[BaseException], ...] = ()
    health: dict[str, LoopHealth] = field(default_factory=dict)

    async def run(self, loops: Mapping[str, Loop]) -> None:
        """Run all until every one returned, one failed fatally, or this call is cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, loop in loops.items():
                group.create_task(self.keep(name, loop), name=name)

    async def keep(self, name: str, loop: Loop) -> None:
        """Run one loop and start it again whenever it fails."""
        backoff = self.backoff()
        health = self.health.setdefault(name, LoopHealth())
        while True:
            started_at = self.clock.monotonic()
            try:
                await loop()
                return
            except self.fatal:
                raise
            except Exception as error:
                if self.clock.monotonic() - started_at > self.healthy_s:
                    backoff.reset()
                pause_s = backoff.next_s()
                health.restarts += 1
                health.last_error = str(error) or type(error).__name__
                expected = isinstance(error, MeshError)
                logger.log(
                    logging.WARNING if expected else logging.ERROR,
                    "loop failed",
                    exc_info=None if expected else error,
                    extra={
                        "loop": name,
                        "error": health.last_error,
                        "retry_in_s": round(pause_s, 2),
                    },
                )
            await asyncio.sleep(pause_s)
