"""The application: one worker follows the hub, one signal tells the screens what changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.events import Event, InputEvent
from textual.signal import Signal
from textual.theme import BUILTIN_THEMES
from textual.worker import WorkerFailed

from common.clock import Clock
from common.errors import ConfigError, MeshError
from common.link import Followed
from tui import modes, themes
from tui.gate import KeyGate, Shown
from tui.hub import Hub
from tui.keys import EVERYWHERE, bindings_for
from tui.orders import Order
from tui.screens.dashboard import DashboardScreen
from tui.state.link import LinkState
from tui.state.needs import needs
from tui.state.orders import OrderLog
from tui.state.store import ORDERS, Ref, Store
from tui.state.typing import Pace
from tui.stylesheet import LazyStylesheet
from tui.terminal import Terminal, Traits
from tui.verbs import Verbs
from tui.widgets.palette import Palette

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.screen import Screen

    from tui.leaving import Leaving


logger = logging.getLogger(__name__)

FLUSH_S = 0.5
"""A flush repaints most of a busy screen; a key paints at once and does not wait for one."""
TICK_S = 1.0
NO_TOKEN_RETRY_S = 2.0
REFUSED_RETRY_S = 30.0
"""The hub counts wrong tokens; asking often would lock this address out."""


class MeshApp(App[None]):
    """Owns the store; screens and verbs see it as `tui.control.Control`."""

    CSS_PATH = "app.tcss"
    TITLE = "mesh"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - App declares it as an instance variable
        (0, "-narrow"),
        (120, "-medium"),
        (150, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_for(EVERYWHERE)]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[None]]]] = {
        "dashboard": DashboardScreen,
        "approvals": modes.approvals,
        "costs": modes.costs,
        "conversation": modes.conversation,
        "events": modes.events,
    }
    DEFAULT_MODE = "dashboard"

    def __init__(
        self,
        hub: Hub,
        *,
        clock: Clock,
        new_key: Callable[[], str],
        zone: tzinfo | None = None,
        theme: str = "mesh-dark",
        keymap: Mapping[str, str] | None = None,
        traits: Traits | None = None,
        notify: bool = True,
        leaving: Leaving | None = None,
        flush_s: float = FLUSH_S,
        pace: Pace | None = None,
        on_shown: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.hub = hub
        self.clock = clock
        self.zone = zone
        self.new_key = new_key
        self.store = Store.empty()
        self.orders = OrderLog()
        self.verbs = Verbs(self)
        self.gate = KeyGate(
            self, deliver=super().on_event, opening=self._opening, what=self._what_is_shown,
            pace=pace,
        )  # fmt: skip
        self.remapped: Mapping[str, str] = keymap or {}
        self.changes: Signal[frozenset[Ref]] = Signal(self, "changes")
        self.no_token = False
        self._welcome: Screen[None] | None = None
        self.crash: BaseException | None = None
        self._terminal = Terminal(traits, notify, self._write) if traits else None
        self._leaving = leaving
        self._flush_s = flush_s
        self._on_shown: Callable[[], None] | None = on_shown
        self._flush_due = False
        self._flushed_at = 0.0
        self._orders_begun = 0
        for own in themes.OWN.values():
            self.register_theme(own)
        self.theme = theme if theme in themes.OWN or theme in BUILTIN_THEMES else "mesh-dark"
        self.stylesheet = LazyStylesheet(variables=self.get_css_variables())
        self._palette_of: Mapping[str, str] = self.theme_variables
        self._palette = Palette(self._palette_of)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        if self.current_theme.ansi:
            return themes.ANSI_ROLES
        return themes.DARK.variables if self.current_theme.dark else themes.LIGHT.variables

    @property
    def palette(self) -> Palette:
        if self._palette_of is not self.theme_variables:
            self._palette_of = self.theme_variables
            self._palette = Palette(self._palette_of)
        return self._palette

    @property
    def textual(self) -> App[None]:
        return self

    def on_mount(self) -> None:
        self.set_keymap(dict(self.remapped))
        self.store.link_started(self.clock.now())
        self.run_worker(self.gate.run(), name="keys", group="keys", exit_on_error=True)
        self.run_worker(self._follow(), name="follow", group="follow", exit_on_error=True)
        self.set_interval(TICK_S, self._tick, name="tick")
        if self._leaving is not None:
            self._leaving.when_asked(partial(self._exit_soon, asyncio.get_running_loop()))

    async def on_unmount(self) -> None:
        await self.hub.close()

    def _exit_soon(self, loop: asyncio.AbstractEventLoop, code: int) -> None:
        """From any thread; a loop that is closed is leaving already."""
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(partial(self.exit, return_code=code))

    def exit(
        self, result: None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Leave, within the grace of `tui.leaving` whatever hangs."""
        if self._leaving is not None:
            self._leaving.begin(return_code)
        super().exit(result, return_code, message)

    def _write(self, sequence: str) -> None:
        if self._driver is not None:
            self._driver.write(sequence)

    def _handle_exception(self, error: Exception) -> None:
        """A fault of ours: into the log with its traceback, to the terminal as a sentence."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        self.crash = self.crash or cause
        logger.critical("crashed", exc_info=cause)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Leave without printing the traceback: it shows the values of variables."""
        self._close_messages_no_wait()

    # -- keys -----------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent) and not self.screen_stack:
            return  # between two modes there is no screen it could be meant for
        if event.is_forwarded or not self.gate.take(event):
            await super().on_event(event)

    def _opening(self) -> bool:
        if self.verbs.opening or not self.screen_stack:
            return True
        group = CommandPalette._GATHER_COMMANDS_GROUP
        return isinstance(self.screen, CommandPalette) and any(
            worker.group == group and not worker.is_finished for worker in self.workers
        )

    def _what_is_shown(self) -> Shown:
        stack = self.screen_stack
        return id(stack[-1]) if stack else None, self.verbs.subject_shown()

    # -- following ------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                async with aclosing(self.hub.follow()) as items:
                    async for item in items:
                        self._take(item)
                pause_s = TICK_S
            except MeshError as error:
                logger.warning("following refused", extra={"code": error.code})
                self.store.refuse(error.message, self.clock.now())
                self.no_token = isinstance(error, ConfigError)
                pause_s = NO_TOKEN_RETRY_S if self.no_token else REFUSED_RETRY_S
            self._schedule_flush()
            await asyncio.sleep(pause_s)

    def _take(self, item: Followed) -> None:
        self.store.take(item, self.clock.now())
        self._schedule_flush()

    def _tick(self) -> None:
        self.store.tick(self.clock.now())
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        """At once when nothing was shown for a while, else when FLUSH_S is over."""
        if self._flush_due:
            return
        self._flush_due = True
        since_last = asyncio.get_running_loop().time() - self._flushed_at
        self.set_timer(max(0.001, self._flush_s - since_last), self._publish, name="flush")

    def _publish(self) -> None:
        self._flush_due = False
        self._flushed_at = asyncio.get_running_loop().time()
        changed = self.store.drain()
        if changed:
            self._welcome_or_not()
            self.changes.publish(changed)
            self.gate.look()
            if self._terminal is not None:
                found = needs(self.store, self.store.now(self.clock.now()))
                self._terminal.show(self.store, found, focused=self.app_focus)
            if self._on_shown is not None:
                self.call_after_refresh(self._on_shown)
                self._on_shown = None

    def _welcome_or_not(self) -> None:
        """Say what to type while there is nothing to show and no hub to ask."""
        link = self.store.link.state
        if self.store.loaded and self._welcome is not None:
            self._welcome.dismiss()
            self._welcome = None
        elif (
            not self.store.loaded
            and self._welcome is None
            and link in {LinkState.LOST, LinkState.REFUSED}
        ):
            from tui.screens.welcome import WelcomeScreen

            self._welcome = WelcomeScreen()
            self.push_screen(self._welcome)

    # -- orders ---------------------------------------------------------------------------

    def place_order(self, order: Order) -> None:
        number = self.orders.begin(order.ref, order.pending, self.clock.now())
        self.touch(order.ref)
        self.run_worker(
            self._carry_out(order, number), name="order", group=f"order-{number}",
            exit_on_error=True,
        )  # fmt: skip

    async def _carry_out(self, order: Order, number: int) -> None:
        try:
            sentence = await order.call(self.hub.calls)
            ok = True
        except MeshError as error:
            logger.info("order refused", extra={"order": order.pending, "code": error.code})
            sentence, ok = f"{order.pending}: {error.message}", False
        self.orders.end(number, sentence, self.clock.now(), ok=ok)
        self.touch(order.ref)

    def tell(self, sentence: str) -> None:
        self.orders.tell(sentence, self.clock.now())
        self.touch(ORDERS)

    def touch(self, ref: Ref) -> None:
        self.store.changed |= {ref, ORDERS}
        self._schedule_flush()

    # -- actions --------------------------------------------------------------------------

    def action_verb(self, action_id: str) -> None:
        self.verbs.run(action_id)

    def open(self, ref: Ref) -> None:
        """Show the screen of what `ref` names."""
        match ref.kind:
            case "task" if int(ref.key) in self.store.folded.tasks:
                from tui.screens.task import TaskScreen

                self.push_screen(TaskScreen(int(ref.key)))
            case "node" if ref.key in self.store.folded.nodes:
                from tui.screens.node import NodeScreen

                self.push_screen(NodeScreen(ref.key))
            case "approval":
                self.verbs.show_approval(ref)
            case "account":
                self.verbs.show_account(ref.key)
            case "message" | "bridge":
                self.verbs.go_conversation()
            case "spend":
                self.verbs.go_costs()
            case _:
                self.tell("There is no more to see of that.")
