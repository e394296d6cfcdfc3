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


def clip(pieces: Cell, width: int) -> tuple[list[Piece], int]:
    """The pieces that fit into `width` cells, and how many cells are left."""
    left, shown = width, []
    for piece in pieces:
        size = cell_len(piece.text)
        if size > left:
            if left > 0:
                shown.append(piece._replace(text=clipped(piece.text, left)))
            elif shown:
                last = shown[-1]
                shown[-1] = last._replace(text=clipped(last.text + "…", cell_len(last.text)))
            return shown, width - cells_of(shown)
        shown.append(piece)
        left -= size
    return shown, left


def padded(pieces: Cell, width: int, *, right: bool = False, gap: int = 0) -> list[Piece]:
    """Exactly `width` cells, and `gap` blanks. Blanks join the piece beside them: the fewer
    pieces a line has, the less there is to colour, cut and write."""
    shown, left = clip(pieces, width)
    if not shown:
        return [Piece(" " * (width + gap))]
    before, after = (left, gap) if right else (0, left + gap)
    if before:
        shown[:1] = _joined(Piece(" " * before), shown[0])
    if after:
        shown[-1:] = _joined(shown[-1], Piece(" " * after))
    return shown


def _joined(one: Piece, other: Piece) -> list[Piece]:
    """Text and the blanks beside it; those of a badge would be seen."""
    if Role.BADGE in (one.role, other.role):
        return [one, other]
    text = one if other.text.isspace() else other
    return [text._replace(text=one.text + other.text)]


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

    def fade(self, on: bool) -> None:
        """Draw everything anew, faded or not."""
        self.faded = on
        self.notify_style_update()
        self.refresh()

    def base_style(self) -> Style:
        return self.visual_style.rich_style

    def paint(self, pieces: Iterable[Piece], base: Style) -> list[Segment]:
        style, faded = self.palette.style, self.faded
        return [Segment(p.text, base + style(p.role, faded=faded)) for p in pieces if p.text]

    def paint_row(
        self, row: Row, columns: tuple[Column, ...], width: int, base: Style, *, gutter: Cell
    ) -> Strip:
        """A row laid out by its columns, behind its gutter; its last cell stays free."""
        pieces = list(gutter)
        used = cells_of(gutter)
        for index, size in fit(columns, max(0, width - used - 1)):
            pieces += padded(row[index], size, right=columns[index].right, gap=1)
            used += size + 1
        return Strip(self.paint(pieces, base), used).adjust_cell_length(width, base)

    def paint_line(self, pieces: Cell, width: int, base: Style | None = None) -> Strip:
        return Strip(self.paint(padded(pieces, width), base or self.base_style()), width)
