"""The in-process bus: committed events in commit order, to bounded queues.

A subscriber that falls behind is cut off, never dropped on in silence and never waited for: it
resumes from the database by the id of the last event it saw.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from common.wire.events import Event, Pulse

Item = Event | Pulse
Listener = Callable[[Item], None]


class Subscription:
    """One reader's queue. Iterating ends when it was cut off or the bus closed."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._ready = asyncio.Event()
        self._ended = False
        self.overflowed = False

    def offer(self, item: Item) -> bool:
        """False when the queue was full, which ends it."""
        if self._ended:
            return False
        if len(self._items) >= self._capacity:
            self.overflowed = True
            self.end()
            return False
        self._items.append(item)
        self._ready.set()
        return True

    def end(self) -> None:
        self._ended = True
        self._ready.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Item:
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        if self.overflowed:
            raise StopAsyncIteration
        return self._items.popleft()


class Bus:
    """Fan-out on the event loop; every method must be called on it."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._listeners: list[Listener] = []
        self._closed = False

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every item, for as long as the bus lives; it must not block."""
        self._listeners.append(listener)

    def subscribe(self, capacity: int = 1000) -> Subscription:
        """Give it back with `unsubscribe` in a `finally`."""
        subscription = Subscription(capacity)
        if self._closed:
            subscription.end()
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def publish(self, items: Iterable[Item]) -> None:
        """Offer items to all, in order; a reader that overflows ends."""
        for item in items:
            for listener in self._listeners:
                listener(item)
            for subscription in tuple(self._subscriptions):
                if not subscription.offer(item):
                    self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every stream, as a clean shutdown does first."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)
