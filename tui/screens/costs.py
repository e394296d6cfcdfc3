"""What it costs: today against the cap, day by day, and by what caused it."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid

from common.errors import MeshError
from common.wire.admin import CostRow, Costs
from tui.control import Control
from tui.keys import COSTS
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.cells import Row
from tui.state.costs import (
    COLUMNS,
    By,
    Period,
    cost_row,
    day_series,
    known,
    name_of,
    summary,
    total_line,
)
from tui.state.store import EVERYTHING, Ref
from tui.widgets.day_chart import DayChart
from tui.widgets.line_list import LineList
from tui.widgets.panel import Panel
from tui.widgets.preview import Preview

REFETCH_S = 15.0


class CostList(LineList[str]):
    """A breakdown; `by` says of what."""

    def __init__(self, control: Control, by: By) -> None:
        super().__init__(
            COLUMNS, self._row, titles=True, empty="Nothing yet.", element_id=f"by-{by}"
        )
        self.by = by
        self._control = control
        self._rows: dict[str, CostRow] = {}

    def take(self, costs: Costs) -> None:
        self._rows = {
            row.key: row for row in sorted(costs.rows, key=lambda row: (-known(row), row.key))
        }
        self.show(list(self._rows))

    def _row(self, key: str) -> Row:
        most = max(known(row) for row in self._rows.values())
        return cost_row(self._rows[key], most, name=name_of(self._control.store, self.by, key))


class CostsScreen(MeshScreen):
    place = COSTS
    CSS_PATH = "costs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(COSTS)
    AUTO_FOCUS = "#by-task"

    def __init__(self) -> None:
        super().__init__()
        self.period = Period.TODAY
        self._days: Costs | None = None
        self._fetch_due = False

    def body(self) -> ComposeResult:
        yield Panel("Today", Preview(), element_id="today-panel")
        yield Panel("By day", DayChart(), element_id="days-panel")
        with Grid(id="breakdowns"):
            for by in By:
                yield Panel(f"By {by}", CostList(self.control, by), element_id=f"{by}-panel")

    def on_screen_resume(self) -> None:
        self._fetch()

    # -- what is shown --------------------------------------------------------------------

    def show_changes(self, changed: frozenset[Ref]) -> None:
        control = self.control
        now = control.store.now(control.clock.now())
        lines = summary(control.store, now, control.zone)
        self.query_one("#today-panel Preview", Preview).show(lines)
        self._show_days()
        spent = any(ref.kind == "spend" for ref in changed)
        if (spent or EVERYTHING in changed) and not self._fetch_due:
            self._fetch_due = True
            self.set_timer(REFETCH_S, self._fetch, name="costs")

    def _show_days(self) -> None:
        if self._days is not None:
            period = Period.MONTH if self.period is Period.MONTH else Period.WEEK
            days = day_series(self._days, period, self.control.store.folded.spend.day)
            self.query_one(DayChart).show(days, self.control.store.folded.spend.cap_usd)

    @work(group="costs", exclusive=True)
    async def _fetch(self) -> None:
        self._fetch_due = False
        calls = self.control.hub.calls
        try:
            days, *parts = await asyncio.gather(
                calls.costs("day", days=Period.MONTH.days),
                *(calls.costs(by.value, days=self.period.days) for by in By),
            )
        except MeshError as error:
            self.control.tell(f"costs: {error.message}")
            return
        self._days = days
        for by, costs in zip(By, parts, strict=True):
            self.query_one(f"#by-{by}", CostList).take(costs)
            self.query_one(f"#{by}-panel", Panel).say(f"· {self.period}", total_line(costs))
        self._show_days()

    # -- what is done ---------------------------------------------------------------------

    def action_period(self) -> None:
        periods = list(Period)
        self.period = periods[(periods.index(self.period) + 1) % len(periods)]
        self.control.tell(f"Costs of {self.period}.")
        self._fetch()

    def subject(self) -> Ref | None:
        focused = self.focused
        if isinstance(focused, CostList) and focused.selected:
            if focused.by is By.TASK and focused.selected.isdigit():
                return Ref("task", focused.selected)
            if focused.by is By.NODE:
                return Ref("node", focused.selected)
        return None

    @on(LineList.Opened)
    def open_selected(self) -> None:
        ref = self.subject()
        if ref is not None:
            self.control.open(ref)
