"""Time limits of a lease, the grace after a start or a jump of the clock, and what is overdue."""

from __future__ import annotations

from dataclasses import dataclass

JUMP_S = 5.0
"""Wall clock against monotonic clock, between two ticks: more than this is a jump."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What the reaper remembers between two passes."""

    wall: float
    monotonic: float
    grace_until: float
    """On the monotonic clock: nothing expires before."""


def first_tick(wall: float, monotonic: float, lease_s: float) -> Tick:
    return Tick(wall, monotonic, monotonic + lease_s)


@dataclass(frozen=True, slots=True)
class Passed:
    """How the clocks moved since the last tick; `jump_s` is 0 when they agree."""

    tick: Tick
    jump_s: float
    may_expire: bool


def next_tick(last: Tick, wall: float, monotonic: float, lease_s: float) -> Passed:
    """Compare the clocks; a jump starts a new grace."""
    drift = (wall - last.wall) - (monotonic - last.monotonic)
    if abs(drift) > JUMP_S:
        return Passed(Tick(wall, monotonic, monotonic + lease_s), drift, False)
    tick = Tick(wall, monotonic, last.grace_until)
    return Passed(tick, 0.0, monotonic >= last.grace_until)
