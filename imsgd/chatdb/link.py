"""A connection to chat.db that is opened when needed and opened anew when the file changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from imsgd.chatdb.database import ChatDatabase
from imsgd.worker import OneThread

T = TypeVar("T")


class ChatLink:
    """Each loop has its own, so none waits for another's query."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._thread = OneThread(name)
        self._database: ChatDatabase | None = None
        self.opened = 0
        """How often the file was opened; a change means that nothing remembered of it holds."""

    async def ask(self, question: Callable[[ChatDatabase], T]) -> T:
        """Run `question` off the event loop. Raises ChatDbError or ChatDbBusyError."""
        return await self._thread.run(lambda: question(self._current()))

    async def renew(self) -> None:
        """Reopen if the file, its log or the log's index was replaced."""
        await self._thread.run(self._renew)

    async def close(self) -> None:
        await self._thread.run(self._drop)
        self._thread.close()

    def _current(self) -> ChatDatabase:
        if self._database is None:
            self._database = ChatDatabase.open(self._path)
            self.opened += 1
        return self._database

    def _renew(self) -> None:
        try:
            replaced = self._current().is_replaced()
        except BaseException:
            self._drop()
            raise
        if replaced:
            self._drop()
            self._current()

    def _drop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
