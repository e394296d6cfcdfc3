"""Long text as a list of wrapped lines: scrolls, has a cursor line, follows its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tui.state.cells import Cell, Column, Row
from tui.state.transcript import Block
from tui.widgets.line_list import GUTTER, LineList
from tui.widgets.wrapping import wrap_cell

LineKey = tuple[int, int]
MAX_LINES = 8000


class TextList(LineList[LineKey]):
    """Keys are (block, line of it). A block is laid out again only when its version changed."""

    cursor_stays: ClassVar[bool] = False

    def __init__(self, *, follow: bool = False, empty: str = "", element_id: str) -> None:
        super().__init__((Column("", 0),), self._line, empty=empty, element_id=element_id)
        self.following = follow
        self._follows = follow
        self._blocks: Sequence[Block] = ()
        self._laid_out: dict[int, tuple[int, int, list[Cell]]] = {}

    @property
    def block(self) -> int | None:
        """The block under the cursor."""
        return self.selected[0] if self.selected else None

    def show_blocks(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._lay_out()

    def follow(self, on: bool) -> None:
        """Stay at the end as lines come, or not."""
        self.following = on
        if on:
            self.action_last()

    def _lay_out(self) -> None:
        width = max(10, self.size.width - GUTTER - 1)
        kept: dict[int, tuple[int, int, list[Cell]]] = {}
        keys: list[LineKey] = []
        for block in self._blocks:
            old = self._laid_out.get(block.id)
            if old is None or old[:2] != (block.version, width):
                lines = [part for line in block.cells for part in wrap_cell(line, width)]
                old = (block.version, width, lines)
            kept[block.id] = old
            keys += [(block.id, n) for n in range(len(old[2]))]
        self._laid_out = kept
        following = self.following
        self.show(keys[-MAX_LINES:])
        if following and self._follows:
            self.follow(True)

    def _line(self, key: LineKey) -> Row:
        return (self._laid_out[key[0]][2][key[1]],)

    def _move_to(self, place: int) -> None:
        super()._move_to(place)
        self.following = self._follows and place >= len(self.keys) - 1

    def on_resize(self) -> None:
        self._lay_out()
