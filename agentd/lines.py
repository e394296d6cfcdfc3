"""Lines from a child's pipe, read so that neither a cancel nor a stray holder of the pipe harms.

Only once nothing came for a moment after the leader's exit is the pipe given up: whoever still
holds it then is not the child.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

MAX_LINE_BYTES = 32 * 2**20
READ_BYTES = 2**16
OUTPUT_GRACE_S = 0.5

MAX_DEPTH = 100
BOM = b"\xef\xbb\xbf"

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class LineReader:
    """Splits a stream into lines without their newline; drops a line over the limit."""

    def __init__(
        self,
        stream: asyncio.StreamReader,
        leader_exit: asyncio.Task[int],
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._stream = stream
        self._leader_exit = leader_exit
        self._max_line_bytes = max_line_bytes
        self._ready: deque[bytes] = deque()
        self._rest = bytearray()
        self._dropping = False
        self._reading: asyncio.Task[bytes] | None = None
        self.dropped = 0

    async def line(self) -> bytes | None:
        """The next line, or None at the end; a cancelled call loses nothing."""
        while not self._ready:
            chunk = await self._chunk()
            if not chunk:
                return self._last_line()
            self._split(chunk)
        return self._ready.popleft()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (line := await self.line()) is not None:
            yield line

    async def close(self) -> None:
        """Stop reading; what is still unread is lost."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    async def _chunk(self) -> bytes:
        if self._reading is None:
            self._reading = asyncio.create_task(
                self._stream.read(READ_BYTES), name=f"read for {self._leader_exit.get_name()}"
            )
        await asyncio.wait({self._reading, self._leader_exit}, return_when=asyncio.FIRST_COMPLETED)
        if not self._reading.done():
            await asyncio.wait({self._reading}, timeout=OUTPUT_GRACE_S)
        if not self._reading.done():
            return b""
        chunk, self._reading = self._reading.result(), None
        return chunk

    def _split(self, chunk: bytes) -> None:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            if self._dropping:
                self.dropped += 1
            else:
                self._ready.append(bytes(self._rest + end))
            self._rest.clear()
            self._dropping = False
        if not self._dropping:
            self._rest += rest
        if len(self._rest) > self._max_line_bytes:
            self._rest.clear()
            self._dropping = True

    def _last_line(self) -> bytes | None:
        if not self._rest or self._dropping:
            return None
        line = bytes(self._rest)
        self._rest.clear()
        return line


def json_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line is, None for any other line; all of it can be encoded again.

    JavaScript cuts strings inside an emoji and writes the half as an escape, which is no character
    in any encoding and would end whatever passes it on: U+FFFD stands in its place.
    """
    try:
        value = json.loads(line.removeprefix(BOM).decode(errors="replace"))
        if _SURROGATE.search(line):
            value = json.loads(_without_halves(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not _too_deep(line, value) else None


def _too_deep(line: bytes, value: object) -> bool:
    """Whether whoever takes `value` apart or encodes it could run out of stack."""
    if line.count(b"{") + line.count(b"[") <= MAX_DEPTH:
        return False
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _without_halves(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
