"""The four lists that several screens show: needs, nodes, tasks, events."""

from __future__ import annotations

from collections.abc import Iterable

from common.clock import to_epoch
from common.wire.tasks import Task
from tui.control import Control
from tui.errors import TuiError
from tui.state.cells import Cell, Column, Role, Row, cell
from tui.state.filters import TaskFilter, parse_filter
from tui.state.measures import clock_time
from tui.state.needs import COLUMNS as NEED_COLUMNS
from tui.state.needs import COLUMNS_ABOVE, Need, need_row, need_text, needs
from tui.state.nodes import COLUMNS as NODE_COLUMNS
from tui.state.nodes import node_row
from tui.state.store import EVERYTHING, LINK, ORDERS, Ref
from tui.state.tail import Line
from tui.state.tasks import COLUMNS as TASK_COLUMNS
from tui.state.tasks import SORTS, TaskIndex, task_row
from tui.widgets.line_list import LineList

TWO_LINES_BELOW = 60
TALL = 32
SIDE_BY_SIDE = 120
PENDING_MARK = "◌ asked"


class NeedList(LineList[Ref]):
    """What needs a person; the row of a question is the one its answer is bound to."""

    def __init__(self, control: Control, *, element_id: str = "needs") -> None:
        super().__init__(
            NEED_COLUMNS, self._row, empty="✓ Nothing needs you.", element_id=element_id
        )
        self._control = control
        self._needs: dict[Ref, Need] = {}

    def update(self) -> None:
        now = self._control.store.now(self._control.clock.now())
        found = needs(self._control.store, now)
        self._needs = {need.ref: need for need in found}
        roomy = self.size.width < TWO_LINES_BELOW and self.app.size.height >= TALL
        self.second_of = self._text if roomy and self.app.size.width >= SIDE_BY_SIDE else None
        self.columns = NEED_COLUMNS if self.second_of is None else COLUMNS_ABOVE
        self.show(list(self._needs))

    @property
    def yours(self) -> int:
        return sum(need.yours for need in self._needs.values())

    def _row(self, ref: Ref) -> Row:
        now = self._control.store.now(self._control.clock.now())
        mark = "asked" if self._control.orders.pending(ref) else ""
        word, about, text, when = need_row(self._needs[ref], now, mark=mark)
        return (word, about, when) if self.second_of else (word, about, text, when)

    def _text(self, ref: Ref) -> Cell:
        return need_text(self._needs[ref])


class NodeList(LineList[str]):
    def __init__(self, control: Control, *, element_id: str = "nodes") -> None:
        super().__init__(
            NODE_COLUMNS, self._row, titles=False, element_id=element_id,
            empty="No node has registered yet. On each Mac run: mesh join",
        )  # fmt: skip
        self._control = control

    def update(self) -> None:
        self.show([node.name for node in self._control.store.nodes()])

    def _row(self, name: str) -> Row:
        store = self._control.store
        mark = PENDING_MARK if self._control.orders.pending(Ref("node", name)) else ""
        now = store.now(self._control.clock.now())
        return node_row(store, store.folded.nodes[name], now, mark=mark)


class TaskList(LineList[int]):
    """The tasks that pass a filter, in order; marks choose some for a batch."""

    def __init__(self, control: Control, *, element_id: str = "tasks", empty: str = "") -> None:
        super().__init__(
            TASK_COLUMNS, self._row, titles=True, element_id=element_id,
            empty=empty or "No task yet. t writes one; so does a text from the phone.",
        )  # fmt: skip
        self._control = control
        self._usual_empty = self.empty
        self.index = TaskIndex()
        self.marked: set[int] = set()

    def update(self, changed: frozenset[Ref]) -> None:
        """Place what changed; everything when nobody knows better."""
        tasks = self._control.store.folded.tasks
        if EVERYTHING in changed:
            self.index.rebuild(tasks.values())
        else:
            for ref in changed:
                if ref.kind == "task":
                    self.index.put(int(ref.key), tasks.get(int(ref.key)))
        ids = {int(ref.key) for ref in changed if ref.kind == "task"}
        self._take(None if changed & {EVERYTHING, LINK, ORDERS} else ids)

    def filter(self, wanted: TaskFilter) -> None:
        self.index.filter = wanted
        self.empty = f"No task matches {wanted.text}" if wanted.text else self._usual_empty
        self._rebuild()

    def filter_text(self, text: str) -> str | None:
        """Filter by a line; the fault in it, or None."""
        try:
            self.filter(parse_filter(text))
        except TuiError as error:
            return error.message
        return None

    def sort_by_next(self) -> str:
        names = list(SORTS)
        self.index.sort = names[(names.index(self.index.sort) + 1) % len(names)]
        self._rebuild()
        return self.index.sort

    def mark_of(self, key: int) -> str:
        return "◆" if key in self.marked else ""

    def toggle_mark(self) -> None:
        if self.selected is not None:
            self.marked ^= {self.selected}
            self.redraw()
            self.action_cursor_down()

    def mark_all(self) -> None:
        """All that the filter shows; none when all are marked."""
        shown = set(self.index.ids())
        self.marked = set() if shown <= self.marked else shown
        self.redraw()

    def unmark(self) -> None:
        self.marked = set()
        self.redraw()

    def _rebuild(self) -> None:
        self.index.rebuild(self._control.store.folded.tasks.values())
        self._take()

    def _take(self, changed: set[int] | None = None) -> None:
        if self.marked:
            self.marked &= self._control.store.folded.tasks.keys()
        self.show(self.index.ids(), changed)

    def _row(self, task_id: int) -> Row:
        store = self._control.store
        mark = PENDING_MARK if self._control.orders.pending(Ref("task", str(task_id))) else ""
        now = store.now(self._control.clock.now())
        task: Task = store.folded.tasks[task_id]
        return task_row(task, now, mark=mark, asks=store.asks(task))


EVENT_COLUMNS = (
    Column("time", width=5, below_width=60),
    Column("time", width=8, from_width=60),
    Column("", width=1),
    Column("about", width=8),
    Column("", 0),
)


class EventList(LineList[int]):
    """The tail; keys are the lines' numbers. Follows the newest until the cursor leaves it."""

    def __init__(self, control: Control, *, element_id: str = "events") -> None:
        super().__init__(
            EVENT_COLUMNS, self._row, element_id=element_id,
            empty="Nothing has happened yet.",
        )  # fmt: skip
        self._control = control
        self._lines: dict[int, Line] = {}
        self.following = True

    def update(self, lines: Iterable[tuple[int, Line]] | None = None) -> None:
        """Show these numbered lines, or all of the tail."""
        self._lines = dict(lines if lines is not None else numbered(self._control))
        keys = list(self._lines)
        following = self.following
        self.show(keys, ())
        if following and keys:
            self.action_last()
            self.following = True

    def line(self, number: int) -> Line:
        return self._lines[number]

    def _move_to(self, place: int) -> None:
        super()._move_to(place)
        self.following = place >= len(self.keys) - 1

    def _row(self, number: int) -> Row:
        line = self._lines[number]
        at = to_epoch(line.at)
        return (
            cell(clock_time(at, self._control.zone, seconds=False), Role.FAINT),
            cell(clock_time(at, self._control.zone), Role.FAINT),
            cell(line.glyph, line.role),
            cell(line.subject, Role.MUTED),
            cell(line.text, line.role if line.role in {Role.BAD, Role.WARN} else Role.PLAIN),
        )


def numbered(control: Control) -> list[tuple[int, Line]]:
    """The tail's lines with numbers that stay theirs while older ones drop out."""
    tail = control.store.tail
    return list(enumerate(tail, start=control.store.tail_count - len(tail)))
