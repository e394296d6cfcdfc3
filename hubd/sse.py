"""Server-sent events: framing, keep-alives, and a bounded buffer between feed and socket.

A comment is followed by one newline only: httpx-sse takes a comment and a blank line for an event
without data. The reader's pace ends here: while its socket is full the pump stops taking, the
feed's own bounded queue overflows, and the stream ends for the reader to resume.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec

from common.errors import MeshError
from common.wire.events import Event, Pulse
from hubd.calls import OpenCalls

logger = logging.getLogger(__name__)

KEEPALIVE_S = 5.0
KEEPALIVE = b": keepalive\n"
MAX_BUFFERED_BYTES = 262_144

_encode = msgspec.json.encode


def frame(data: bytes, *, event: str | None = None, id_: str | None = None) -> bytes:
    """One message; `data` is JSON, so it holds no line break."""
    parts = []
    if id_ is not None:
        parts.append(b"id: %b\n" % id_.encode())
    if event is not None:
        parts.append(b"event: %b\n" % event.encode())
    parts.append(b"data: %b\n\n" % data)
    return b"".join(parts)


def event_frame(event: Event) -> bytes:
    return frame(_encode(event), id_=event.id)


def pulse_frame(pulse: Pulse) -> bytes:
    """Without an id: a pulse is not in the log, so a reader must not resume from it."""
    return frame(_encode(pulse), event="pulse")


def reset_frame(reason: str) -> bytes:
    return frame(_encode({"reason": reason}), event="reset")


class Outlet:
    """One reader's stream: pumps `frames` into a buffer that `chunks` empties."""

    def __init__(self, frames: AsyncGenerator[bytes], *, keepalive_s: float = KEEPALIVE_S) -> None:
        self._frames = frames
        self._keepalive_s = keepalive_s
        self._buffer = bytearray()
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._done = False

    def end(self) -> None:
        """Send what is buffered and no more."""
        self._done = True
        self._ready.set()
        self._room.set()

    async def chunks(self, calls: OpenCalls, token_id: str) -> AsyncIterator[bytes]:
        """The response's body; ends with the feed, with the token, or with the hub."""
        with calls.stream(token_id, self.end):
            pump = asyncio.create_task(self._pump(), name="sse-pump")
            try:
                while self._buffer or not self._done:
                    if self._buffer:
                        chunk = bytes(self._buffer)
                        self._buffer.clear()
                        self._room.set()
                        yield chunk
                    elif not await self._anything():
                        yield KEEPALIVE
            finally:
                pump.cancel()
                await asyncio.wait([pump])

    async def _anything(self) -> bool:
        """Wait for a chunk or the end; False when it stayed silent."""
        self._ready.clear()
        try:
            async with asyncio.timeout(self._keepalive_s):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    async def _pump(self) -> None:
        try:
            async with aclosing(self._frames) as frames:
                async for chunk in frames:
                    if self._done:
                        return
                    self._buffer += chunk
                    self._ready.set()
                    if len(self._buffer) > MAX_BUFFERED_BYTES:
                        self._room.clear()
                        await self._room.wait()
        except MeshError as error:
            logger.warning("stream ended", extra={"error": error.message})
        except Exception:
            logger.exception("stream failed")
        finally:
            self.end()
