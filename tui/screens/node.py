"""One node: what it runs, its breaker and the evidence, its account, what happened there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.keys import NODE
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.filters import TaskFilter
from tui.state.node_page import node_page, node_title
from tui.state.store import EVERYTHING, TAIL, Ref
from tui.state.transcript import Block
from tui.widgets.layout import Columns, Stack
from tui.widgets.line_list import LineList
from tui.widgets.lists import EventList, TaskList, numbered
from tui.widgets.panel import Panel
from tui.widgets.strips import TextLine
from tui.widgets.text_list import TextList


class NodeScreen(MeshScreen):
    place = NODE
    CSS_PATH = "node.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(NODE)
    AUTO_FOCUS = "#node-tasks"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.node = name

    def body(self) -> ComposeResult:
        yield TextLine(element_id="title")
        tasks = TaskList(self.control, element_id="node-tasks", empty="It has run nothing lately.")
        tasks.index.filter = TaskFilter("", (lambda task: task.node == self.node,))
        with Columns(id="columns"):
            yield Panel("Node", TextList(element_id="page"), element_id="page-panel")
            with Stack(id="middle"):
                yield Panel("Tasks here", tasks, element_id="tasks-panel")
                yield Panel(
                    "Events here",
                    EventList(self.control, element_id="node-events"),
                    element_id="events-panel",
                )

    def show_changes(self, changed: frozenset[Ref]) -> None:
        store = self.control.store
        node = store.folded.nodes.get(self.node)
        if node is None:
            return
        now = store.now(self.control.clock.now())
        self.query_one("#title", TextLine).show(node_title(store, node, now))
        lines = tuple(node_page(store, node, now, self.control.zone))
        self.query_one("#page", TextList).show_blocks([Block(0, hash(lines), lines)])
        tasks = self.query_one(TaskList)
        tasks.update(changed)
        live = len(store.live.get(self.node, ()))
        self.query_one("#tasks-panel", Panel).say(f"{live} running" if live else "")
        if changed & {TAIL, EVERYTHING}:
            keys = {("node", self.node), *(("task", str(i)) for i in tasks.keys)}
            keys |= {
                ("account", row)
                for row, account in store.folded.accounts.items()
                if account.concerns(node.login, node.name)
            }
            lines_here = [(n, e) for n, e in numbered(self.control) if (e.kind, e.key) in keys]
            self.query_one(EventList).update(lines_here)

    def subject(self) -> Ref | None:
        tasks = self.query_one(TaskList)
        if self.focused is tasks and tasks.marked:
            return Ref("task", str(tasks.selected))
        return Ref("node", self.node)

    def task_subject(self) -> Ref | None:
        """Verbs of tasks concern the selected task, those of nodes the node."""
        selected = self.query_one(TaskList).selected
        return Ref("task", str(selected)) if selected is not None else None

    def marked(self) -> Iterable[int]:
        return sorted(self.query_one(TaskList).marked)

    def unmark(self) -> None:
        self.query_one(TaskList).unmark()

    def action_mark(self) -> None:
        self.query_one(TaskList).toggle_mark()

    def action_mark_all(self) -> None:
        self.query_one(TaskList).mark_all()

    @on(LineList.Opened)
    def open_task(self, message: LineList.Opened) -> None:
        if isinstance(message.source, TaskList):
            self.control.open(Ref("task", str(message.source.selected)))
        elif isinstance(message.source, EventList) and message.source.selected is not None:
            line = message.source.line(message.source.selected)
            self.control.open(Ref(line.kind, line.key))
