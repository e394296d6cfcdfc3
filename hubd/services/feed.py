"""The event log as a stream: what happened since an id, then what happens; no gap, no repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from common.wire.events import Event, Pulse
from hubd.store import events
from hubd.store.database import Database
from hubd.store.transaction import View

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Reset:
    """The id cannot be continued (another epoch, or its events are gone): take a snapshot."""

    reason: str


class Feed:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_event_id(self) -> str:
        return await self._database.read(
            lambda view: events.event_id(view.epoch, events.last_seq(view.conn))
        )

    async def follow(
        self, last_event_id: str | None, *, capacity: int = 1000
    ) -> AsyncIterator[Event | Pulse | Reset]:
        """Events after `last_event_id` (None: from now on). Ends when the reader is more than
        `capacity` events behind or the hub stops; after a Reset it ends. Wrap in
        `contextlib.aclosing`."""
        bus = self._database.bus
        # Subscribed before the log is read: what is committed in between comes twice, and the
        # second time is skipped by its number.
        subscription = bus.subscribe(capacity)
        try:
            start = await self._database.read(lambda view: _start(view, last_event_id))
            if isinstance(start, Reset):
                yield start
                return
            seq, behind = start, True
            while True:
                while behind:
                    page = await self._page(seq)
                    for event in page:
                        seq = event.seq
                        yield event
                    behind = len(page) == PAGE
                item = await anext(subscription, None)
                if item is None:
                    return
                if isinstance(item, Pulse):
                    yield item
                elif item.seq == seq + 1:
                    seq = item.seq
                    yield item
                elif item.seq > seq:
                    behind = True  # another process, such as `mesh-hubd token`, wrote in between
        finally:
            bus.unsubscribe(subscription)

    async def _page(self, seq: int) -> list[Event]:
        """The next events of the log after `seq`."""
        return await self._database.read(
            lambda view: events.after(view.conn, view.epoch, seq, PAGE)
        )

    def close(self) -> None:
        """End all streams; the first step of a clean shutdown."""
        self._database.bus.close()


def _start(view: View, last_event_id: str | None) -> int | Reset:
    last = events.last_seq(view.conn)
    if last_event_id is None:
        return last
    parsed = events.parse_event_id(last_event_id)
    if parsed is None:
        return Reset("this is no event id of ours")
    epoch, seq = parsed
    if epoch != view.epoch:
        return Reset("the hub was restored from a backup")
    if seq > last:
        return Reset("the hub does not know this event")
    first = events.first_seq(view.conn)
    if seq < last and (first is None or seq + 1 < first):
        return Reset("these events are no longer kept")
    return seq
