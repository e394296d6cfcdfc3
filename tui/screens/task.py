"""One task: its live output with folded tool calls, and everything known about it."""

from __future__ import annotations

from contextlib import aclosing
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from common.errors import MeshError
from common.wire.tasks import TERMINAL_STATES, Task, TaskDetail
from tui.keys import TASK
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.store import EVERYTHING, Ref
from tui.state.task_page import task_page, task_title
from tui.state.transcript import Block, Transcript, blocks_of
from tui.widgets.layout import Columns
from tui.widgets.line_list import LineList
from tui.widgets.panel import Panel
from tui.widgets.strips import TextLine
from tui.widgets.text_list import TextList

REFETCH_S = 2.0


class TaskScreen(MeshScreen):
    """`OUTPUT` is touched when output came; the page is fetched anew when its record changed."""

    place = TASK
    CSS_PATH = "task.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(TASK)
    AUTO_FOCUS = "#output"

    def __init__(self, task_id: int) -> None:
        super().__init__()
        self.ref = Ref("task", str(task_id))
        self.output = Ref("output", str(task_id))
        self.task_id = task_id
        self.transcript = Transcript()
        self.detail: TaskDetail | None = None
        self._fetch_due = False

    def body(self) -> ComposeResult:
        yield TextLine(element_id="title")
        with Columns(id="columns"):
            yield Panel(
                "Output",
                TextList(follow=True, empty="No output yet.", element_id="output"),
                element_id="output-panel",
            )
            yield Panel("Task", TextList(element_id="page"), element_id="page-panel")

    def on_mount(self) -> None:
        self._fetch()
        self._follow_output()

    # -- what is shown --------------------------------------------------------------------

    @property
    def record(self) -> Task | None:
        return self.control.store.folded.tasks.get(self.task_id) or self.detail

    def show_changes(self, changed: frozenset[Ref]) -> None:
        task = self.record
        if task is None:
            return
        control = self.control
        now = control.store.now(control.clock.now())
        self.query_one("#title", TextLine).show(task_title(task, asks=control.store.asks(task)))
        page = task_page(control.store, task, self.detail, now, control.zone)
        self.query_one("#page", TextList).show_blocks([Block(0, hash(tuple(page)), tuple(page))])
        if changed & {self.output, EVERYTHING}:
            self._show_output()
        if self.ref in changed and not self._fetch_due:
            self._fetch_due = True
            self.set_timer(REFETCH_S, self._fetch, name="fetch")

    def _show_output(self) -> None:
        result = self.detail.result if self.detail else None
        finished = self.detail is not None and self.detail.state in TERMINAL_STATES
        if finished:
            self.transcript.close()
        blocks = blocks_of(self.transcript, (result or "") if finished else None)
        view = self.query_one("#output", TextList)
        view.show_blocks(blocks)
        self.query_one("#output-panel", Panel).say("", "" if view.following else "f follows")

    @work(group="detail", exclusive=True)
    async def _fetch(self) -> None:
        self._fetch_due = False
        try:
            self.detail = await self.control.hub.calls.task(self.task_id)
        except MeshError as error:
            self.control.tell(f"#{self.task_id}: {error.message}")
        else:
            self.control.touch(self.output)

    @work(group="output", exclusive=True)
    async def _follow_output(self) -> None:
        try:
            async with aclosing(self.control.hub.output(self.task_id)) as lines:
                async for line in lines:
                    self.transcript.add(line)
                    self.control.touch(self.output)
        except MeshError as error:
            self.control.tell(f"#{self.task_id}, output: {error.message}")
        self._fetch()

    # -- what is done ---------------------------------------------------------------------

    def subject(self) -> Ref | None:
        return self.ref

    def copyable(self) -> str | None:
        result = self.detail.result if self.detail else None
        return result or self.transcript.text() or None

    def action_fold(self) -> None:
        view = self.query_one("#output", TextList)
        if view.block is not None and self.transcript.toggle(view.block):
            self._show_output()
        else:
            self.control.tell("Put the cursor on a tool call to unfold it.")

    def action_fold_all(self) -> None:
        self.transcript.toggle_all()
        self._show_output()

    def action_follow(self) -> None:
        view = self.query_one("#output", TextList)
        view.follow(not view.following)
        self._show_output()

    def on_line_list_opened(self, message: LineList.Opened) -> None:
        if message.source.id == "output":
            self.action_fold()
