"""Questions: the list, and beside it exactly what a yes would let run."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.control import Control
from tui.keys import APPROVALS
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.approval_page import COLUMNS, approval_page, approval_row, ordered
from tui.state.cells import Row
from tui.state.plain import one_line
from tui.state.store import Ref
from tui.state.transcript import Block
from tui.widgets.layout import Columns
from tui.widgets.line_list import LineList
from tui.widgets.lists import PENDING_MARK
from tui.widgets.panel import Panel
from tui.widgets.text_list import TextList


class ApprovalList(LineList[int]):
    def __init__(self, control: Control) -> None:
        super().__init__(
            COLUMNS, self._row, empty="✓ No question waits, and none was asked lately.",
            element_id="approvals",
        )  # fmt: skip
        self._control = control

    def update(self) -> None:
        self.show(ordered(self._control.store))

    def _row(self, approval_id: int) -> Row:
        control = self._control
        asked = control.orders.pending(Ref("approval", str(approval_id)))
        now = control.store.now(control.clock.now())
        approval = control.store.folded.approvals[approval_id]
        return approval_row(approval, now, mark=PENDING_MARK if asked else "")


class ApprovalsScreen(MeshScreen):
    place = APPROVALS
    CSS_PATH = "approvals.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(APPROVALS)
    AUTO_FOCUS = "ApprovalList"

    def body(self) -> ComposeResult:
        with Columns(id="columns"):
            yield Panel("Questions", ApprovalList(self.control), element_id="list-panel")
            yield Panel("What a yes lets run", TextList(element_id="card"), element_id="card-panel")

    def show_changes(self, changed: frozenset[Ref]) -> None:
        self.query_one(ApprovalList).update()
        pending = len(self.control.store.pending)
        self.query_one("#list-panel", Panel).say(f"{pending} pending" if pending else "")
        self.query_one("#list-panel").set_class(bool(pending), "-needed")
        self._show_card()

    def _show_card(self) -> None:
        approval_id = self.query_one(ApprovalList).selected
        control = self.control
        approval = control.store.folded.approvals.get(approval_id or 0)
        lines = (
            tuple(approval_page(control.store, approval, self._now(), control.zone))
            if approval
            else ()
        )
        self.query_one("#card", TextList).show_blocks([Block(approval_id or 0, hash(lines), lines)])

    def _now(self) -> float:
        return self.control.store.now(self.control.clock.now())

    def show_selected(self) -> None:
        self._show_card()

    def select(self, ref: Ref) -> None:
        """Put the cursor on a question."""
        self.query_one(ApprovalList).select(int(ref.key))

    def subject(self) -> Ref | None:
        selected = self.query_one(ApprovalList).selected
        return Ref("approval", str(selected)) if selected is not None else None

    def copyable(self) -> str | None:
        selected = self.query_one(ApprovalList).selected
        approval = self.control.store.folded.approvals.get(selected or 0)
        return (approval.detail or one_line(approval.summary)) if approval else None

    @on(LineList.Opened, "#approvals")
    def open_task(self) -> None:
        approval = self.control.store.folded.approvals.get(
            self.query_one(ApprovalList).selected or 0
        )
        if approval and approval.task_id:
            self.control.open(Ref("task", str(approval.task_id)))
