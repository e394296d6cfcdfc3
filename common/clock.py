"""Time as the mesh uses it: epoch seconds inside, aware UTC datetimes on the wire."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a program reads the time; tests pass one they can move."""

    def now(self) -> float:
        """Wall clock, seconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; on macOS they stop while the machine sleeps."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def to_datetime(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def to_datetime_or_none(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else to_datetime(epoch_s)


def to_epoch(moment: datetime) -> float:
    """Seconds since the epoch; raises ValueError for a datetime without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous")
    return moment.timestamp()
