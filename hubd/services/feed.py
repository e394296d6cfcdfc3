"""The event log as a stream: what happened since an id, then what happens; no gap, no repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from common.wire.events import Event, Pulse


@dataclass(frozen=True, slots=True)
class Reset:
    """The id cannot be continued (another epoch, or its events are gone): take a snapshot."""

    reason: str


class Feed:
    async def last_event_id(self) -> str:
        raise NotImplementedError

    def follow(self, last_event_id: str | None) -> AsyncIterator[Event | Pulse | Reset]:
        """Events after `last_event_id` (None: from now on). Ends when the reader is too slow or
        the hub stops; after a Reset it ends. Wrap in `contextlib.aclosing`."""
        raise NotImplementedError

    def close(self) -> None:
        """End all streams; the first step of a clean shutdown."""
        raise NotImplementedError
