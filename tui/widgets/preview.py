"""Lines about what is selected, wrapped to the room there is."""

from __future__ import annotations

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
        self._wrapped: tuple[int, list[Cell]] = (0, [])

    def show(self, lines: list[Cell]) -> None:
        if lines != self._lines:
            self._lines = lines
            self._wrapped = (0, [])
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._wrapped[0] != width:
            wrapped = [part for line in self._lines for part in wrap_cell(line, width - 2)]
            self._wrapped = (width, wrapped)
        lines = self._wrapped[1]
        if y >= len(lines):
            return Strip.blank(width, self.base_style())
        return self.paint_line((Piece(" "), *lines[y]), width)
