"""A run of a program that takes its prompt on stdin and says what it does line by line."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Iterable
from typing import Protocol

from agentd.child import Child
from agentd.runners.exits import Exit
from agentd.runners.foreign import Oddities
from agentd.runners.protocol import Answer, Ended, Event
from agentd.runners.reader import Reader
from common.proc import signal_group

logger = logging.getLogger(__name__)


class LineFold(Protocol):
    """What the lines of one program mean; pure."""

    @property
    def odd(self) -> Oddities:
        """What could not be read."""
        ...

    def take(self, line: bytes) -> Iterable[Event]:
        """The events of one line of stdout."""
        ...

    def ended(self, end: Exit) -> Ended:
        """The last word, once the process is gone."""
        ...


class LineRun:
    """Follows a child through a fold. It asks no questions, so there is nothing to answer."""

    def __init__(self, name: str, child: Child, prompt: str, fold: LineFold) -> None:
        self._name = name
        self._child = child
        self._prompt = prompt
        self._fold = fold
        self._interrupted = False
        self._killed = False

    @property
    def pid(self) -> int:
        return self._child.pid

    async def events(self) -> AsyncGenerator[Event, None]:
        telling = asyncio.create_task(self._tell(), name=f"prompt for {self._child.pid}")
        reader = Reader(self._name, self._fold.take, self._fold.odd)
        try:
            async for line in self._child.stdout:
                for event in reader.events(line):
                    yield event
            returncode = await self._child.wait()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self._child.close()
        end = Exit(
            returncode=returncode,
            stderr=self._child.stderr_tail,
            interrupted=self._interrupted,
            killed=self._killed,
        )
        yield self._fold.ended(end)

    async def answer(self, request_id: str, answer: Answer) -> None:
        logger.warning("answer to a question nobody asked", extra={"request": request_id})

    async def interrupt(self) -> None:
        self._interrupted = True
        signal_group(self._child.pid, signal.SIGINT)

    async def kill(self, *, grace_s: float) -> None:
        self._killed = True
        await self._child.kill(grace_s=grace_s)

    async def _tell(self) -> None:
        """A program may answer before it has read everything, so this goes on beside it."""
        await self._child.write(self._prompt.encode())
        self._child.close_stdin()


def with_brief(brief: str | None, prompt: str) -> str:
    """The prompt with a specialist's brief before it, for programs that know no specialists."""
    return prompt if not brief else f"{brief}\n\n---\n\nThe task:\n\n{prompt}"
