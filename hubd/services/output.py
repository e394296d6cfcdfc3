"""Live output: kept line by line, followed by whoever looks at the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from common.wire.events import Entity, Event, Pulse
from common.wire.nodes import OutputLine
from common.wire.tasks import TERMINAL_STATES
from hubd.services import submitting
from hubd.store import output
from hubd.store.database import Database
from hubd.store.transaction import View

PAGE = 500
SILENCE_S = 15.0


class OutputFeed:
    """Wakes the followers of a task when it said something or moved on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: dict[int, set[asyncio.Event]] = {}
        self._closed = False
        database.bus.listen(self._hear)

    def _hear(self, item: Event | Pulse) -> None:
        if isinstance(item, Event) and item.entity is Entity.TASK:
            self.wake(int(item.key))

    def wake(self, task_id: int) -> None:
        for event in self._followers.get(task_id, ()):
            event.set()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        for task_id in self._followers:
            self.wake(task_id)

    async def follow(
        self, task_id: int, after: tuple[int, int]
    ) -> AsyncIterator[OutputLine | None]:
        """Lines after (fence, n) until the task is over; None after a silence."""
        news = asyncio.Event()
        self._followers.setdefault(task_id, set()).add(news)
        try:
            while not self._closed:
                news.clear()
                lines, over = await self._database.read(
                    lambda view, after=after: _page(view, task_id, after)  # type: ignore[misc]
                )
                for line in lines:
                    after = (line.fence, line.n)
                    yield line
                if len(lines) == PAGE:
                    continue
                if over:
                    return
                if not await _heard(news):
                    yield None
        finally:
            followers = self._followers[task_id]
            followers.discard(news)
            if not followers:
                del self._followers[task_id]


async def _heard(news: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(SILENCE_S):
            await news.wait()
    except TimeoutError:
        return False
    return True


def _page(view: View, task_id: int, after: tuple[int, int]) -> tuple[list[OutputLine], bool]:
    task = submitting.find_task(view, task_id)
    lines = output.of_task(view.conn, task_id, after, PAGE)
    return lines, task.state in TERMINAL_STATES
