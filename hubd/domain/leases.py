"""Time limits of a lease, the grace after a start or a jump of the clock, and what is overdue."""

from __future__ import annotations

from dataclasses import dataclass

from common.config.schema import HubConfig
from hubd.errors import InvalidError

JUMP_S = 5.0
"""Wall clock against monotonic clock, between two ticks: more than this is a jump."""

KILL_GRACE_S = 15.0


def check_limits(config: HubConfig) -> None:
    """Raises InvalidError when the limits could let two nodes run one task at a time."""
    if 5 * config.heartbeat_s > config.lease_s:
        raise InvalidError(
            f"hub.lease_s ({config.lease_s:g}) must be at least five heartbeats "
            f"({5 * config.heartbeat_s:g}): raise it or lower hub.heartbeat_s"
        )
    if config.stop_after_s + KILL_GRACE_S >= config.lost_after_s + config.lease_s:
        raise InvalidError(
            f"hub.stop_after_s ({config.stop_after_s:g}) must end well before hub.lost_after_s "
            f"({config.lost_after_s:g}), or a task could run twice at once"
        )
    if config.stale_after_s < 2 * config.heartbeat_s:
        raise InvalidError(
            f"hub.stale_after_s ({config.stale_after_s:g}) must be at least two heartbeats"
        )


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
