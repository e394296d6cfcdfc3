"""The demo's iPhone: it writes into the simulated Messages and reads the thread as it grows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CliError
from cli.programs import program

LINE_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message of the thread; `ours` is one from the phone, `at` epoch seconds."""

    number: int
    guid: str
    ours: bool
    text: str
    at: float

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Bubble:
        return cls(
            number=record["rowid"],
            guid=record["guid"],
            ours=record["direction"] == "in",
            text=record["text"],
            at=record["at"],
        )


@dataclass(frozen=True, slots=True)
class Phone:
    """`folder` is the simulated Messages' own."""

    folder: Path
    env: Mapping[str, str]

    async def text(self, text: str) -> int:
        """Send a text; returns its number in the thread. Raises CliError."""
        answer = json.loads(await self._run("text", "--", text))
        number: int = answer["rowid"]
        return number

    @asynccontextmanager
    async def thread(self, *, after: int = 0) -> AsyncIterator[AsyncIterator[Bubble]]:
        """The bubbles after that number, those to come included."""
        process = await asyncio.create_subprocess_exec(
            *self._argv("tail", "--json", "--after", str(after)),
            env=dict(self.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES,
        )
        try:
            yield _bubbles(process)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def _argv(self, command: str, *arguments: str) -> list[str]:
        return program("imsgd.simulated", command, "--dir", str(self.folder), *arguments)

    async def _run(self, command: str, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *self._argv(command, *arguments),
            env=dict(self.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        if process.returncode != 0:
            raise CliError(error.decode(errors="replace").strip() or "the text was not taken")
        return out.decode()


async def _bubbles(process: asyncio.subprocess.Process) -> AsyncIterator[Bubble]:
    stdout = process.stdout
    if stdout is None:
        return
    async for line in stdout:
        record = json.loads(line)
        if not record["copy"] and record["kind"] == "text":
            yield Bubble.of(record)
