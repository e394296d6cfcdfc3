"""The three single lines of every screen: header above, order line and key bar below."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.state.cells import Cell, Piece, Role
from tui.widgets.painting import Painter, cells_of

BETWEEN: Cell = (Piece(" │ ", Role.FAINT),)


class HeaderStrip(Painter):
    """One line, or two while a banner is up. `parts` gives left, right and banner."""

    Parts = tuple[list[Cell], list[Cell], Cell | None]

    def __init__(self, parts: Callable[[], Parts]) -> None:
        super().__init__()
        self._parts = parts
        self._shown: HeaderStrip.Parts = ([], [], None)

    def on_mount(self) -> None:
        self.show()

    def show(self) -> None:
        """Redraw if anything on it changed."""
        parts = self._parts()
        if parts != self._shown:
            grown = (parts[2] is None) != (self._shown[2] is None)
            self._shown = parts
            self.refresh(layout=grown)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1 if self._shown[2] is None else 2

    def render_line(self, y: int) -> Strip:
        left, right, banner = self._shown
        width, base = self.size.width, self.base_style()
        if y == 1 and banner is not None:
            return self.paint_line(banner, width, base)
        if y:
            return Strip.blank(width, base)
        return self._status(left, right, width)

    def _status(self, left: list[Cell], right: list[Cell], width: int) -> Strip:
        name: Cell = (Piece(" mesh ", Role.STRONG), Piece(" "))
        shown = list(right)
        line = _joined([name, *left], first_gap=False)
        while shown and cells_of(line) + cells_of(_joined(shown)) + 3 > width:
            shown.pop()
        end = (*_joined(shown), Piece(" ")) if shown else ()
        middle = max(0, width - cells_of(line) - cells_of(end))
        return self.paint_line((*line, Piece(" " * middle), *end), width)


def _joined(cells: list[Cell], *, first_gap: bool = True) -> Cell:
    pieces: list[Piece] = []
    for number, each in enumerate(cells):
        if number > (0 if first_gap else 1):
            pieces += BETWEEN
        pieces += each
    return tuple(pieces)


class TextLine(Painter):
    """One line of cells that somebody else composes."""

    def __init__(self, *, element_id: str | None = None) -> None:
        super().__init__(id=element_id)
        self._cell: Cell = ()

    def show(self, line: Cell | None) -> None:
        line = line or ()
        if line != self._cell:
            self._cell = line
            self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1

    def render_line(self, y: int) -> Strip:
        if y:
            return Strip.blank(self.size.width, self.base_style())
        return self.paint_line((Piece(" "), *self._cell), self.size.width)


class KeyBar(TextLine):
    """The keys that do something here, as many as fit; a click presses one."""

    class Pressed(Message):
        """A key of the bar was clicked."""

        def __init__(self, action_id: str) -> None:
            super().__init__()
            self.action_id = action_id

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[tuple[str, str, str], ...] = ()
        self._spans: list[tuple[int, int, str]] = []

    def show_keys(self, keys: tuple[tuple[str, str, str], ...]) -> None:
        """(action id, key, label), most useful first."""
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render_line(self, y: int) -> Strip:
        pieces: list[Piece] = [Piece(" ")]
        self._spans.clear()
        used = 1
        for action_id, key, label in self._keys:
            size = cell_len(key) + 1 + cell_len(label)
            if used + size > self.size.width:
                break
            self._spans.append((used, used + size, action_id))
            pieces += [Piece(key, Role.ACCENT), Piece(f" {label}", Role.MUTED), Piece("  ")]
            used += size + 2
        return self.paint_line(tuple(pieces), self.size.width)

    def on_click(self, event: events.Click) -> None:
        for start, end, action_id in self._spans:
            if start <= event.x < end:
                self.post_message(self.Pressed(action_id))
