"""One task for each conversation that has something to do, so that none waits for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from imsgd.bell import Bell


class Lanes:
    """Runs `work(key)` once at a time for each key until it returns, then rings `ended`, so that
    its owner looks again for what came meanwhile. The first error of any ends all and is raised
    by the `async with` itself, not in a group."""

    def __init__(self, name: str, work: Callable[[str], Awaitable[None]], *, ended: Bell) -> None:
        self._name = name
        self._work = work
        self._ended = ended
        self._open: set[str] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            first: BaseException = group
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None

    def open(self, key: str) -> None:
        """Begin the work of a key, unless it is under way."""
        if key not in self._open:
            self._open.add(key)
            self._group.create_task(self._run(key), name=f"{self._name} {key}")

    async def _run(self, key: str) -> None:
        try:
            await self._work(key)
        finally:
            self._open.discard(key)
            self._ended.ring()
