"""What screens and verbs may ask of the app; the app itself imports them, never the reverse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol

from textual.app import App
from textual.signal import Signal

from common.clock import Clock
from tui.hub import Hub
from tui.orders import Order
from tui.state.orders import OrderLog
from tui.state.store import Ref, Store

if TYPE_CHECKING:
    from tui.gate import KeyGate
    from tui.verbs import Verbs
    from tui.widgets.palette import Palette


class Control(Protocol):
    """The app as screens see it. `zone` None is the machine's own time zone."""

    store: Store
    orders: OrderLog
    clock: Clock
    zone: tzinfo | None
    hub: Hub
    verbs: Verbs
    gate: KeyGate
    remapped: Mapping[str, str]
    changes: Signal[frozenset[Ref]]
    no_token: bool
    """Whether this machine has no token, rather than a refused one."""

    @property
    def palette(self) -> Palette:
        """The present theme's colours for what is drawn line by line."""
        ...

    @property
    def textual(self) -> App[None]:
        """The framework's side of it."""
        ...

    def place_order(self, order: Order) -> None:
        """Ask the hub in a worker of its own; the order line shows what becomes of it."""
        ...

    def open(self, ref: Ref) -> None:
        """Show the screen of a task, node, question or message."""
        ...

    def tell(self, sentence: str) -> None:
        """Say something in the order line that nobody asked the hub for."""
        ...

    def touch(self, ref: Ref) -> None:
        """Let the screens know with the next flush that `ref` changed."""
        ...

    def new_key(self) -> str:
        """An idempotency key."""
        ...
