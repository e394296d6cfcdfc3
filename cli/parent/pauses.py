"""When a daemon that ended is started again. It never gives up."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from common.errors import EXIT_ALREADY_RUNNING, EXIT_CONFIG

FIRST_S = 1.0
CAP_S = 60.0
MANY = 5
WITHIN_S = 600.0
DEGRADED_S = 300.0
MISCONFIGURED_S = 30.0
HEALTHY_S = 60.0


@dataclass(slots=True)
class Pauses:
    """Full jitter from one second to a minute; five minutes once it failed too often.

    An end with exit code 0 after a healthy while is a restart that somebody asked for.
    """

    rng: random.Random = field(default_factory=random.Random)
    _failed_at: deque[float] = field(default_factory=lambda: deque(maxlen=MANY + 1))
    _in_a_row: int = 0

    def after(self, exit_code: int | None, *, ran_s: float, now: float) -> float:
        """Seconds until the next start; `now` is monotonic, `exit_code` None if unknown."""
        if ran_s >= HEALTHY_S:
            self._in_a_row = 0
        if exit_code == 0 and ran_s >= FIRST_S:
            return 0.0
        self._failed_at.append(now)
        self._in_a_row += 1
        if self.degraded(now):
            return DEGRADED_S
        if exit_code in (EXIT_CONFIG, EXIT_ALREADY_RUNNING):
            return MISCONFIGURED_S
        ceiling = min(CAP_S, FIRST_S * 2.0 ** (self._in_a_row - 1))
        return self.rng.uniform(ceiling / 5, ceiling)

    def degraded(self, now: float) -> bool:
        """More than five failures in ten minutes."""
        return len(self._failed_at) > MANY and now - self._failed_at[0] < WITHIN_S

    @property
    def fresh(self) -> bool:
        """Nothing has failed since the last `forget`."""
        return not self._failed_at and self._in_a_row == 0

    def forget(self) -> None:
        """Somebody mended something: begin anew."""
        self._failed_at.clear()
        self._in_a_row = 0
