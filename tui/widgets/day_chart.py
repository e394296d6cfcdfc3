"""A column a day, drawn to whatever size the widget has."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from common.wire.admin import CostRow
from tui.state.cells import Cell, Piece
from tui.state.costs import day_chart
from tui.widgets.painting import Painter


class DayChart(Painter):
    """`show` takes one row a day, oldest first; days over the cap stand out."""

    def __init__(self) -> None:
        super().__init__()
        self._days: Sequence[CostRow] = ()
        self._cap: float | None = None

    def show(self, days: Sequence[CostRow], cap: float | None) -> None:
        if (days, cap) != (self._days, self._cap):
            self._days, self._cap = days, cap
            self.refresh()

    def render_line(self, y: int) -> Strip:
        lines = self._lines()
        if y >= len(lines):
            return Strip.blank(self.size.width, self.base_style())
        return self.paint_line((Piece(" "), *lines[y]), self.size.width)

    def _lines(self) -> list[Cell]:
        height = max(3, self.size.height - 1)
        return day_chart(self._days, self._cap, self.size.width - 2, height)
