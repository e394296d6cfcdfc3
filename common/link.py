"""What a follower of the hub is told: records as they come, and how the connection fares."""

from __future__ import annotations

from dataclasses import dataclass

from common.wire.events import Event, Pulse, Snapshot


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The stream is open: from here on what is shown is live."""


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The stream broke; the next try is in `retry_in_s`."""

    reason: str
    retry_in_s: float


Followed = Snapshot | Event | Pulse | LinkUp | LinkLost
