"""A list that draws only its visible lines and redraws only those that changed.

The cursor belongs to a key, not to a place: when rows move, it stays on its row, and that row
stays where it was on the screen. So what a key press concerns is what the eye was on.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keys import LIST, bindings_for
from tui.state.cells import Cell, Column, Piece, Role, Row
from tui.widgets.painting import Painter

K = TypeVar("K", bound=Hashable)
Line = tuple[K, Row | Cell, str]
"""What stands on a visible line: whose it is, its cells, its mark."""
GUTTER = 2


class LineList(ScrollView, Painter, Generic[K], can_focus=True):
    """Rows of `columns`; `row_of` makes a key's row and is called for visible lines only."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_for(LIST)]

    fades = True
    cursor_stays: ClassVar[bool] = True
    """Whether the cursor's row is marked while the focus is elsewhere."""

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, source: LineList[Any]) -> None:
            super().__init__()
            self.source = source

        @property
        def control(self) -> LineList[Any]:
            return self.source

    class Opened(Moved):
        """Enter or a double click on a row."""

    def __init__(
        self,
        columns: tuple[Column, ...],
        row_of: Callable[[K], Row],
        *,
        titles: bool = False,
        empty: str = "",
        element_id: str | None = None,
    ) -> None:
        super().__init__(id=element_id)
        self.columns = columns
        self.row_of = row_of
        self.titles = titles
        self.empty = empty
        self.second_of: Callable[[K], Cell] | None = None
        self.keys: Sequence[K] = ()
        self._cursor = 0
        self._drawn: dict[int, Line[K] | None] = {}
        self._made: dict[int, Line[K] | None] = {}
        """Lines that `redraw` made, found changed and asked to be painted."""
        self._empty_drawn: str | None = None

    # -- what is in it --------------------------------------------------------------------

    @property
    def selected(self) -> K | None:
        """The key under the cursor."""
        return self.keys[self._cursor] if self.keys else None

    @property
    def lines(self) -> int:
        """Lines a row: two when `second_of` says what stands in the second."""
        return 1 if self.second_of is None else 2

    def show(self, keys: Sequence[K], changed: Container[K] | None = None) -> None:
        """Take new keys, keep the cursor on its row, redraw the lines that differ.

        `changed`: only these keys' rows can differ from what is drawn; None: any may.
        """
        height = len(keys) * self.lines + self.titles
        if keys != self.keys or height != self.virtual_size.height:
            selected, offset = self.selected, self._cursor * self.lines - round(self.scroll_y)
            self.keys = keys
            place = self._find(selected) if selected is not None else None
            self._cursor = max(0, min(self._cursor if place is None else place, len(keys) - 1))
            self._resize(height, self._cursor * self.lines - offset if place else None)
            if self.selected != selected:
                self.post_message(self.Moved(self))
        self.redraw(changed)

    def select(self, key: K) -> bool:
        """Put the cursor on a key; False when it is not in the list."""
        place = self._find(key)
        if place is not None:
            self._move_to(place)
        return place is not None

    def _find(self, key: K) -> int | None:
        try:
            return self.keys.index(key)
        except ValueError:
            return None

    def redraw(self, changed: Container[K] | None = None) -> None:
        """Redraw the visible lines whose row is no longer what was drawn."""
        if not self.keys:
            if self._empty_drawn != self.empty:
                self._forget_lines()
                self.refresh()
            return
        self._made.clear()
        width, height = self.size
        stale = []
        for y in range(self.titles, height):
            drawn = self._drawn.get(y)
            if drawn is not None and changed is not None and self._still(y, drawn, changed):
                continue
            line = self._line_at(y)
            if drawn != line:
                self._made[y] = line
                stale.append(Region(0, y, width, 1))
        if stale:
            self.refresh(*stale)

    def _still(self, y: int, drawn: Line[K], changed: Container[K]) -> bool:
        """Whether the row drawn on `y` stands there yet and cannot have changed."""
        place = self._place(y)
        return place < len(self.keys) and self.keys[place] == drawn[0] not in changed

    def _resize(self, height: int, scroll_y: int | None) -> None:
        changed = height != self.virtual_size.height
        self.virtual_size = Size(0, height)
        if changed:
            self._forget_lines()
            self.refresh(layout=True)
        if scroll_y is not None and scroll_y != round(self.scroll_y):
            self.scroll_to(y=scroll_y, animate=False, force=True)
        self._keep_in_view()

    def _place(self, y: int) -> int:
        """The index of the row on visible line `y`."""
        return (round(self.scroll_y) + y - self.titles) // self.lines

    def mark_of(self, key: K) -> str:
        """One cell in front of a row."""
        return ""

    def _line_at(self, y: int) -> Line[K] | None:
        """What stands on visible line `y`: the first line of a row or its second."""
        place = self._place(y)
        if not 0 <= place < len(self.keys):
            return None
        key = self.keys[place]
        if self.second_of is not None and (round(self.scroll_y) + y - self.titles) % 2:
            return key, self.second_of(key), ""
        return key, self.row_of(key), self.mark_of(key)

    def _forget_lines(self) -> None:
        self._drawn.clear()
        self._made.clear()
        self._empty_drawn = None

    # -- drawing --------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.base_style()
        if self.titles and y == 0:
            return self._title_line(width, base)
        if not self.keys:
            self._empty_drawn = self.empty
            text = self.empty if y == self.titles else ""
            return self.paint_line((Piece("  "), Piece(text, Role.MUTED)), width, base)
        line = self._made.pop(y) if y in self._made else self._line_at(y)
        self._drawn[y] = line
        if line is None:
            return Strip.blank(width, base)
        second = self.lines == 2 and (round(self.scroll_y) + y - self.titles) % 2 == 1
        at_cursor = self._place(y) == self._cursor
        return self._row_line(line[1], at_cursor, width, base, second=second, mark=line[2])

    def _row_line(
        self, row: Row | Cell, at_cursor: bool, width: int, base: Style, *,
        second: bool = False, mark: str = "",
    ) -> Strip:  # fmt: skip
        edge = " "
        if at_cursor and (self.has_focus or self.cursor_stays):
            palette = self.palette
            base += palette.cursor if self.has_focus else palette.cursor_elsewhere
            edge = "▌" if self.has_focus else " "
        gutter: Cell = (Piece(f"{edge}{mark or ' '}", Role.ACCENT),)
        if second:
            line = self.paint_line((*gutter, *cast("Cell", row)), width - 1, base)
            return line.adjust_cell_length(width, base)
        return self.paint_row(cast("Row", row), self.columns, width, base, gutter=gutter)

    def _title_line(self, width: int, base: Style) -> Strip:
        row = tuple((Piece(column.title, Role.FAINT),) for column in self.columns)
        return self._row_line(row, False, width, base)

    def notify_style_update(self) -> None:
        self._forget_lines()
        super().notify_style_update()

    def on_resize(self) -> None:
        self._forget_lines()
        self._keep_in_view()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        self._forget_lines()
        super().watch_scroll_y(old_value, new_value)

    def on_focus(self) -> None:
        self._refresh_cursor()

    def on_blur(self) -> None:
        self._refresh_cursor()

    def _refresh_cursor(self) -> None:
        top = self._cursor * self.lines - round(self.scroll_y) + self.titles
        self.refresh(Region(0, top, self.size.width, self.lines))

    # -- moving ---------------------------------------------------------------------------

    def _move_to(self, place: int) -> None:
        place = max(0, min(place, len(self.keys) - 1))
        if not self.keys or place == self._cursor:
            return
        self._refresh_cursor()
        self._cursor = place
        self._keep_in_view()
        self._refresh_cursor()
        self.post_message(self.Moved(self))

    def _keep_in_view(self) -> None:
        rows = max(1, self.size.height - self.titles)
        top, first = round(self.scroll_y), self._cursor * self.lines
        if first < top:
            self.scroll_to(y=first, animate=False, force=True)
        elif first + self.lines > top + rows:
            self.scroll_to(y=first + self.lines - rows, animate=False, force=True)

    @property
    def _page(self) -> int:
        return max(1, (self.size.height - self.titles) // self.lines - 1)

    def action_cursor_down(self) -> None:
        self._move_to(self._cursor + 1)

    def action_cursor_up(self) -> None:
        self._move_to(self._cursor - 1)

    def action_page_down(self) -> None:
        self._move_to(self._cursor + self._page)

    def action_page_up(self) -> None:
        self._move_to(self._cursor - self._page)

    def action_first(self) -> None:
        self._move_to(0)

    def action_last(self) -> None:
        self._move_to(len(self.keys) - 1)

    def action_open(self) -> None:
        if self.keys:
            self.post_message(self.Opened(self))

    def on_click(self, event: events.Click) -> None:
        place = self._place(event.y)
        if event.y >= self.titles and 0 <= place < len(self.keys):
            self._move_to(place)
            if event.chain == 2:
                self.action_open()
