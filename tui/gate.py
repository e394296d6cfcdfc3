"""The one way of keys to the screens: in order, each when what the one before it opened stands.

Textual gives a key to whatever has the focus when the event loop comes to it. What it opens is
composed later, so that the next key of the same read met the screen that was being left. Here each
key waits until its predecessor has been handled to its end and the screen it opened is mounted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.events import Event, Key, MouseDown, MouseScrollDown, MouseScrollUp, MouseUp, Paste

from tui.state.typing import Pace, Typing

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump

logger = logging.getLogger(__name__)

SETTLE_S = 3.0
"""A screen that is not there by then is given up: what was typed for it is dropped, unseen."""
FLUSH_S = 0.5
LOOK_S = 0.005
STABLE = 2
"""Rounds without a message: a handler of the first may have posted to a queue passed already."""

TOGETHER = "That key came together with others, or too soon to be meant: press it again, alone."

Shown = tuple[Hashable, Hashable]
"""The screen, and what is selected on it."""

_ORDERED = (Key, Paste, MouseDown, MouseUp, MouseScrollDown, MouseScrollUp)


@dataclass(frozen=True, slots=True)
class Typed:
    """An input event, its number among the keys (0 for the mouse), and when it was made."""

    event: Event
    number: int
    at: float


class KeyGate:
    """`deliver` gives an event to the focus, `opening` says whether a screen is on its way, `what`
    names what a deciding key would answer now. Without `pace` keys decide at any speed."""

    def __init__(
        self,
        app: App[None],
        *,
        deliver: Callable[[Event], Awaitable[None]],
        opening: Callable[[], bool],
        what: Callable[[], Shown],
        pace: Pace | None,
    ) -> None:
        self._app = app
        self._deliver = deliver
        self._opening = opening
        self._what = what
        self._paced = pace is not None
        self._typing = Typing(pace or Pace())
        self._queue: asyncio.Queue[Typed] = asyncio.Queue()
        self._current: Typed | None = None
        self.handled = 0
        self._stood = True
        self._delivered: Shown = (None, None)

    def take(self, event: Event) -> bool:
        """Put an input event in the queue; False for what does not pass through here."""
        if not isinstance(event, _ORDERED):
            return False
        number = self._typing.typed(event.time) if isinstance(event, (Key, Paste)) else 0
        self._queue.put_nowait(Typed(event, number, event.time))
        return True

    async def run(self) -> None:
        """Deliver what was typed, one by one, until cancelled."""
        while True:
            self._current = await self._queue.get()
            self.look()
            self._delivered = self._what()
            self._stood = self._typing.stood(self._delivered, self._current.at)
            await self._deliver(self._current.event)
            await self._settle()
            self.handled += 1
            self.look()

    def look(self) -> None:
        """Note what is shown now; called whenever that may have changed."""
        self._typing.showing(self._what(), asyncio.get_running_loop().time())

    # -- deciding -------------------------------------------------------------------------

    def stood(self) -> bool:
        """Whether what the present key answers was shown in good time before it was pressed, and
        is the same now. The screen may differ by now: the palette closes before it acts."""
        if not self._paced or self._current is None:
            return True
        return self._stood and self._what()[1] == self._delivered[1]

    async def alone(self) -> bool:
        """Whether the present key was typed alone; waits until that can be known."""
        typed = self._current
        if not self._paced or typed is None:
            return True
        quiet_s = self._typing.pace.quiet_s
        while self._typing.alone(typed.number, typed.at):
            left_s = typed.at + quiet_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                return True
            await asyncio.sleep(left_s)
        return False

    @property
    def surely_alone(self) -> bool:
        """The same without waiting: whether nothing else has to be awaited."""
        return not self._paced or self._current is None

    # -- settling -------------------------------------------------------------------------

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(SETTLE_S):
                stable = 0
                while stable < STABLE and self._app.is_running:
                    stable = stable + 1 if await self._swept() else 0
        except TimeoutError:
            logger.warning("keys dropped", extra={"count": self._queue.qsize()})
            while not self._queue.empty():
                self._queue.get_nowait()
                self.handled += 1

    async def _swept(self) -> bool:
        """Let every queue a key passes through run empty; whether all of them were."""
        if self._opening():
            await asyncio.sleep(LOOK_S)
            return False
        idle = True
        for pump in self._way():
            idle &= pump.message_queue_size == 0
            idle &= await _flushed(pump)
        return idle and not self._opening()

    def _way(self) -> Iterator[MessagePump]:
        screen = self._app.screen_stack[-1]
        focused = screen.focused
        yield from focused.ancestors_with_self if focused else (screen, self._app)


async def _flushed(pump: MessagePump) -> bool:
    """Wait until `pump` has come to the end of its queue as it is now."""
    done = asyncio.Event()
    if not pump.call_later(done.set):
        return True
    try:
        async with asyncio.timeout(FLUSH_S):
            await done.wait()
    except TimeoutError:
        return False
    return True
