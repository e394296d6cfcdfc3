"""Waking any number of loops without one of them missing a ring while it is busy."""

from __future__ import annotations

import asyncio


class Bell:
    """A listener reads `count`, looks at the state, then waits for a later ring."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        self.count += 1
        rung, self._event = self._event, asyncio.Event()
        rung.set()

    async def after(self, count: int, *, timeout_s: float | None = None) -> None:
        """Return when it was rung after `count`, or when `timeout_s` passed."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.count == count:
                    await self._event.wait()
        except TimeoutError:
            pass
