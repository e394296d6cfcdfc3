"""Calls that stay open: streams and long polls, under the token that opened them.

All end when the hub stops, and a token's own when it is revoked or expires.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from hubd.access.errors import RateLimitedError, UnauthorizedError
from hubd.errors import StoppingError

MAX_STREAMS_PER_TOKEN = 64
MAX_WAITS_PER_TOKEN = 64
WATCH_EVERY_S = 1.0


class OpenCall:
    """One open call. `on_end` is called once, from the event loop, when it must end."""

    __slots__ = ("ended", "on_end")

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.on_end = on_end
        self.ended = False

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.on_end()


class OpenCalls:
    """All open calls of the process; every method belongs to the event loop."""

    def __init__(self) -> None:
        self.stopping = False
        self._streams: dict[str, set[OpenCall]] = {}
        self._waits: dict[str, set[OpenCall]] = {}

    @property
    def streams(self) -> int:
        return sum(map(len, self._streams.values()))

    @property
    def waits(self) -> int:
        return sum(map(len, self._waits.values()))

    def refuse_stream(self, token_id: str) -> None:
        """Raise RateLimitedError or StoppingError when this token may not open one more."""
        self._refuse(self._streams, token_id, MAX_STREAMS_PER_TOKEN, "streams")

    @contextmanager
    def stream(self, token_id: str, on_end: Callable[[], None]) -> Iterator[OpenCall]:
        """Count a stream for as long as the block runs."""
        with self._opened(self._streams, token_id, on_end) as call:
            yield call

    @asynccontextmanager
    async def wait(self, token_id: str) -> AsyncIterator[None]:
        """Run a long poll; raises StoppingError or UnauthorizedError when it is cut short."""
        self._refuse(self._waits, token_id, MAX_WAITS_PER_TOKEN, "calls that wait")
        call = None
        try:
            async with asyncio.timeout(None) as scope:
                now = asyncio.get_running_loop().time
                with self._opened(self._waits, token_id, lambda: scope.reschedule(now())) as call:
                    yield
        except TimeoutError:
            if call is None or not call.ended:
                raise
            if self.stopping:
                raise StoppingError from None
            raise UnauthorizedError("this token was revoked or has expired") from None

    def end_token(self, token_id: str) -> None:
        """End everything a token has open."""
        for calls in (self._streams, self._waits):
            for call in tuple(calls.get(token_id, ())):
                call.end()

    def close(self) -> None:
        """End everything and let nothing new open: the first step of a clean stop."""
        self.stopping = True
        for token_id in {*self._streams, *self._waits}:
            self.end_token(token_id)

    async def watch(self, is_live: Callable[[str], Awaitable[bool]]) -> None:
        """End the calls of tokens that are no longer good, for as long as it runs."""
        while True:
            for token_id in {*self._streams, *self._waits}:
                if not await is_live(token_id):
                    self.end_token(token_id)
            await asyncio.sleep(WATCH_EVERY_S)

    def _refuse(
        self, calls: dict[str, set[OpenCall]], token_id: str, limit: int, what: str
    ) -> None:
        if self.stopping:
            raise StoppingError
        if len(calls.get(token_id, ())) >= limit:
            raise RateLimitedError(f"this token already has {limit} {what} open: close some first")

    @contextmanager
    def _opened(
        self, calls: dict[str, set[OpenCall]], token_id: str, on_end: Callable[[], None]
    ) -> Iterator[OpenCall]:
        call = OpenCall(on_end)
        calls.setdefault(token_id, set()).add(call)
        try:
            yield call
        finally:
            held = calls[token_id]
            held.discard(call)
            if not held:
                del calls[token_id]
