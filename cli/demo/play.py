"""Playing the demo's conversation and printing it as it happens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

from cli.demo.phone import Bubble, Phone
from cli.demo.script import Line, still_expected
from cli.demo.transcript import render

REPLY_S = 12.0
MODEL_REPLY_S = 180.0


class Thread:
    """The bubbles seen so far, and a bell for the next one."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self.bubbles: list[Bubble] = []
        self._show = show
        self._grown = asyncio.Event()

    async def follow(self, phone: Phone) -> None:
        async with phone.thread() as bubbles:
            async for bubble in bubbles:
                self.bubbles.append(bubble)
                self._show(render(bubble))
                self._grown.set()

    def replies_after(self, number: int) -> list[str]:
        return [b.text for b in self.bubbles if not b.ours and b.number > number]

    async def until_answered(self, line: Line, number: int) -> None:
        """Return when every expected reply to the text with that number is there."""
        while still_expected(line.expects, self.replies_after(number)):
            self._grown.clear()
            await self._grown.wait()


async def play(
    phone: Phone, lines: Sequence[Line], *, reply_s: float, show: Callable[[str], None]
) -> str | None:
    """Play the conversation; returns what was missing, or None when every reply came."""
    thread = Thread(show)
    following = asyncio.create_task(thread.follow(phone), name="thread")
    try:
        for line in lines:
            number = await phone.text(line.text)
            try:
                async with asyncio.timeout(reply_s):
                    await thread.until_answered(line, number)
            except TimeoutError:
                return _missing(line, thread.replies_after(number), reply_s)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return None


def _missing(line: Line, replies: Sequence[str], reply_s: float) -> str:
    left: list[re.Pattern[str]] = still_expected(line.expects, replies)
    wanted = " and ".join(pattern.pattern for pattern in left)
    return f"no reply like {wanted} to {line.text!r} within {reply_s:.0f} s"
