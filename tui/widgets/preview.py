"""Lines about what is selected, wrapped to the room there is."""

from __future__ import annotations

from itertools import zip_longest

from textual.geometry import Region
from textual.strip import Strip

from tui.state.cells import Cell, Piece
from tui.widgets.painting import Painter
from tui.widgets.wrapping import wrap_cell


class Preview(Painter):
    """What does not fit is not shown; enter opens the whole."""

    fades = True

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Cell] = []
        self._wrapped: list[Cell] = []

    def show(self, lines: list[Cell]) -> None:
        if lines != self._lines:
            self._lines = lines
            self._wrap()

    def on_resize(self) -> None:
        self._wrap()

    def _wrap(self) -> None:
        """Lay out anew and repaint the lines that differ."""
        width, height = self.size
        before = self._wrapped
        self._wrapped = [part for line in self._lines for part in wrap_cell(line, width - 2)]
        changed = [
            Region(0, y, width, 1)
            for y, (old, new) in enumerate(zip_longest(before, self._wrapped))
            if old != new and y < height
        ]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._wrapped):
            return Strip.blank(width, self.base_style())
        return self.paint_line((Piece(" "), *self._wrapped[y]), width)
