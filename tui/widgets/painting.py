"""From cells to strips: roles become the theme's colours, and every line exactly fits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tui.control import Control
from tui.state.cells import Cell, Column, Piece, Role, Row, fit
from tui.widgets.palette import Palette


def clipped(text: str, width: int) -> str:
    """`text` in at most `width` cells, ending in `…` when something is missing."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    return set_cell_size(text, width - 1).rstrip() + "…"


def clip(pieces: Cell, width: int) -> list[Piece]:
    """The pieces that fit into `width` cells."""
    left, shown = width, []
    for piece in pieces:
        size = cell_len(piece.text)
        if size > left:
            if left > 0:
                shown.append(piece._replace(text=clipped(piece.text, left)))
            elif shown:
                last = shown[-1]
                shown[-1] = last._replace(text=clipped(last.text + "…", cell_len(last.text)))
            return shown
        shown.append(piece)
        left -= size
    return shown


def cells_of(pieces: Iterable[Piece]) -> int:
    return sum(cell_len(piece.text) for piece in pieces)


class Painter(Widget):
    """A widget that draws cells in the app's palette."""

    fades: ClassVar[bool] = False
    """Whether it shows what the hub said, so that it fades while the link is down."""
    faded = False

    @property
    def palette(self) -> Palette:
        return cast("Control", self.app).palette

    def role_style(self, role: Role) -> Style:
        return self.palette.style(role, faded=self.faded)

    def fade(self, on: bool) -> None:
        """Draw everything anew, faded or not."""
        self.faded = on
        self.notify_style_update()
        self.refresh()

    def base_style(self) -> Style:
        return self.visual_style.rich_style

    def paint(self, pieces: Cell, width: int, base: Style, *, right: bool = False) -> list[Segment]:
        """Segments of exactly `width` cells."""
        shown = clip(pieces, width)
        segments = [Segment(p.text, base + self.role_style(p.role)) for p in shown if p.text]
        pad = width - cells_of(shown)
        if pad > 0:
            blank = Segment(" " * pad, base)
            segments = [blank, *segments] if right else [*segments, blank]
        return segments

    def paint_row(self, row: Row, columns: tuple[Column, ...], width: int, base: Style) -> Strip:
        """A row laid out by its columns."""
        segments: list[Segment] = []
        for position, (index, size) in enumerate(fit(columns, width)):
            if position:
                segments.append(Segment(" ", base))
            segments += self.paint(row[index], size, base, right=columns[index].right)
        return Strip(segments).adjust_cell_length(width, base)

    def paint_line(self, pieces: Cell, width: int, base: Style | None = None) -> Strip:
        return Strip(self.paint(pieces, width, base or self.base_style()), width)
