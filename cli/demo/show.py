"""What a person sees of a demo: the control centre, or the phone's thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Mapping

import click

from cli.demo.phone import Bubble, Phone
from cli.demo.stage import Stage
from cli.demo.transcript import render
from cli.programs import program

QUIET_S = 2.5
"""A conversation that was silent for so long has said what it had to say."""
FIRST_REPLY_S = 10.0

OPENING = (
    "Which day of the week was 1 January 2000? [rehearse: 20s]",
    "@researcher What is a write-ahead log? [rehearse: 8s]",
    "ask Delete the branches that were merged last week",
)
"""Something to look at from the first moment on: work that runs, and a question to answer."""


async def open_screen(stage: Stage, env: Mapping[str, str]) -> int:
    """Run `mesh-tui` in this terminal until the person leaves it."""
    opening = OPENING if stage.setting.claude is None else OPENING[-1:]
    for text in opening:
        await stage.phone.text(text)
    process = await asyncio.create_subprocess_exec(
        *program("tui"), env=stage.setting.environment(env, screen=True)
    )
    stage.entrust("process", process.pid)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def text_and_wait(phone: Phone, text: str) -> None:
    """Send a text and print the replies until none has come for a moment."""
    number = await phone.text(text)
    async with phone.thread(after=number - 1) as thread:
        patience_s = FIRST_REPLY_S
        while bubble := await _next_within(thread.__anext__(), patience_s):
            click.echo(render(bubble))
            patience_s = FIRST_REPLY_S if bubble.ours else QUIET_S


async def _next_within(coming: Awaitable[Bubble], patience_s: float) -> Bubble | None:
    try:
        async with asyncio.timeout(patience_s):
            return await coming
    except (TimeoutError, StopAsyncIteration):
        return None


async def keep_phone(phone: Phone) -> None:
    """Print the thread as it grows and text every line typed, until end of input."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        # A thread, because a terminal's stdin cannot be waited for on every event loop.
        for line in sys.stdin:
            loop.call_soon_threadsafe(typed.put_nowait, line.strip())
        loop.call_soon_threadsafe(typed.put_nowait, None)

    printing = asyncio.create_task(_print_thread(phone), name="thread")
    threading.Thread(target=read, name="stdin", daemon=True).start()
    try:
        while (line := await typed.get()) is not None:
            if line:
                await phone.text(line)
    finally:
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)


async def _print_thread(phone: Phone) -> None:
    async with phone.thread() as thread:
        async for bubble in thread:
            click.echo(render(bubble))
