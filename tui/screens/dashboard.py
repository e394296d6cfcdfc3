"""The first screen: does anything need me, is anything broken, what runs where, what does it
cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from tui.keys import DASHBOARD
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.cells import Cell
from tui.state.store import EVERYTHING, LINK, ORDERS, TAIL, Ref
from tui.widgets.layout import Columns, Stack
from tui.widgets.line_list import LineList
from tui.widgets.lists import EventList, NeedList, NodeList, TaskList, numbered
from tui.widgets.panel import Panel
from tui.widgets.preview import Preview

EVENTS_SHOWN = 100
"""More are on the screen of events; a list that grows has to be laid out each time."""


class DashboardScreen(MeshScreen):
    """Stacked below 120 columns, two columns from there, three from 150."""

    place = DASHBOARD
    CSS_PATH = "dashboard.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(DASHBOARD)
    AUTO_FOCUS = ""

    def __init__(self) -> None:
        super().__init__()
        self._known = False

    def body(self) -> ComposeResult:
        with Columns(id="columns"):
            with Stack(id="left"):
                yield Panel("Needs you", NeedList(self.control), element_id="needs-panel")
                yield Panel("Nodes", NodeList(self.control), element_id="nodes-panel")
            with Stack(id="middle"):
                yield Panel(
                    "Tasks",
                    Input(placeholder="filter", id="filter", compact=True),
                    TaskList(self.control),
                    element_id="tasks-panel",
                )
                yield Panel("Events", EventList(self.control), element_id="events-panel")
            with Stack(id="right"):
                yield Panel("Selected", Preview(), element_id="preview-panel")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(TaskList))

    def focus_first(self) -> None:
        """Once the fleet is known: where the eye should begin."""
        if self.query_one(NeedList).yours:
            self.set_focus(self.query_one(NeedList))

    # -- what is shown --------------------------------------------------------------------

    def show_changes(self, changed: frozenset[Ref]) -> None:
        needs, nodes = self.query_one(NeedList), self.query_one(NodeList)
        tasks, events = self.query_one(TaskList), self.query_one(EventList)
        first = self.control.store.loaded and not self._known
        self._known = self.control.store.loaded
        needs.update()
        nodes.update()
        tasks.update(changed)
        if TAIL in changed or EVERYTHING in changed:
            events.update(numbered(self.control)[-EVENTS_SHOWN:])
        if changed & {EVERYTHING, LINK, ORDERS}:  # a frame's title repaints the whole frame
            self._say_counts(needs, nodes, tasks)
        if first:
            self.focus_first()
        self.show_selected()

    def _say_counts(self, needs: NeedList, nodes: NodeList, tasks: TaskList) -> None:
        self.query_one("#needs-panel", Panel).say(str(needs.yours) if needs.yours else "")
        panel = self.query_one("#nodes-panel", Panel)
        store = self.control.store
        busy = sum(len(live) for live in store.live.values())
        slots = sum(node.slots for node in store.folded.nodes.values())
        panel.say(str(len(nodes.keys) or ""), f"{busy} of {slots} slots" if slots else "")
        self.query_one("#tasks-panel", Panel).say(*self._task_counts(tasks))
        self.query_one("#needs-panel").set_class(bool(needs.yours), "-needed")
        self.query_one("#needs-panel").set_class(not needs.keys, "-quiet")

    def _task_counts(self, tasks: TaskList) -> tuple[str, str]:
        shown, every = len(tasks.keys), len(self.control.store.folded.tasks)
        count = f"{shown} of {every}" if tasks.index.filter.text else str(every or "")
        marked = f"{len(tasks.marked)} marked · " if tasks.marked else ""
        sort = "" if tasks.index.sort == "usual" else f"by {tasks.index.sort}"
        filtered = f"/{tasks.index.filter.text} " if tasks.index.filter.text else ""
        return count, f"{marked}{filtered}{sort}".strip(" ·")

    def show_selected(self) -> None:
        if self.has_class("-wide"):
            self.query_one(Preview).show(self._preview())

    def _preview(self) -> list[Cell]:
        from tui.state.preview import preview

        control = self.control
        return preview(control.store, self.subject(), control.store.now(control.clock.now()))

    # -- what is selected -----------------------------------------------------------------

    def subject(self) -> Ref | None:
        match self.focused:
            case NeedList() as needs:
                return needs.selected
            case NodeList() as nodes:
                return Ref("node", nodes.selected) if nodes.selected else None
            case TaskList() as tasks:
                return Ref("task", str(tasks.selected)) if tasks.selected is not None else None
            case EventList() as events if events.selected is not None:
                line = events.line(events.selected)
                return Ref(line.kind, line.key)
            case _:
                return None

    def marked(self) -> Iterable[int]:
        tasks = self.query_one(TaskList)
        return sorted(tasks.marked) if self.focused is tasks else ()

    def unmark(self) -> None:
        self.query_one(TaskList).unmark()
        self.show_all()

    def next_need(self, first: Ref) -> None:
        """Put the cursor on the next need after the present one."""
        needs = self.query_one(NeedList)
        if self.focused is needs and needs.selected != needs.keys[-1]:
            needs.action_cursor_down()
        else:
            needs.select(first)
        self.set_focus(needs)

    @on(LineList.Opened)
    def open_selected(self) -> None:
        ref = self.subject()
        if ref is not None:
            self.control.open(ref)

    # -- tasks ----------------------------------------------------------------------------

    def action_mark(self) -> None:
        self.query_one(TaskList).toggle_mark()
        self.show_all()

    def action_mark_all(self) -> None:
        self.query_one(TaskList).mark_all()
        self.show_all()

    def action_sort(self) -> None:
        self.control.tell(f"Tasks sorted by {self.query_one(TaskList).sort_by_next()}.")
        self.show_all()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    @on(Input.Changed, "#filter")
    def filter_tasks(self, event: Input.Changed) -> None:
        fault = self.query_one(TaskList).filter_text(event.value)
        event.input.set_class(fault is not None, "-wrong")
        if fault:
            self.control.tell(fault)
        self._say_counts(
            self.query_one(NeedList), self.query_one(NodeList), self.query_one(TaskList)
        )

    @on(Input.Submitted, "#filter")
    def leave_filter(self, event: Input.Submitted) -> None:
        event.input.set_class(bool(event.value), "-open")
        self.query_one(TaskList).focus()

    def go_back(self) -> None:
        """Escape: clear the filter, then the marks."""
        field = self.query_one("#filter", Input)
        if field.has_class("-open"):
            field.value = ""
            field.remove_class("-open")
            self.query_one(TaskList).focus()
        else:
            self.unmark()
