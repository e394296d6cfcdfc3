"""Everything that happened: filter, search, follow or stay."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from tui.keys import EVENTS
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.event_filter import HINT, passes
from tui.state.store import EVERYTHING, TAIL, Ref
from tui.widgets.line_list import LineList
from tui.widgets.lists import EventList, numbered
from tui.widgets.panel import Panel


class EventsScreen(MeshScreen):
    place = EVENTS
    CSS_PATH = "events.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(EVENTS)
    AUTO_FOCUS = "EventList"

    def body(self) -> ComposeResult:
        yield Panel(
            "Events",
            Input(placeholder=HINT, id="filter", compact=True),
            EventList(self.control, element_id="all-events"),
            element_id="events-panel",
        )

    def show_changes(self, changed: frozenset[Ref]) -> None:
        if changed & {TAIL, EVERYTHING}:
            self._show_lines()

    def _show_lines(self) -> None:
        text = self.query_one("#filter", Input).value
        every = numbered(self.control)
        lines = [(number, line) for number, line in every if passes(line, text)]
        events = self.query_one(EventList)
        events.update(lines)
        count = f"{len(lines)} of {len(every)}" if text else str(len(every))
        state = "following" if events.following else "paused · f follows"
        self.query_one("#events-panel", Panel).say(count, state)

    def show_selected(self) -> None:
        self._show_lines()

    def subject(self) -> Ref | None:
        events = self.query_one(EventList)
        if events.selected is None:
            return None
        line = events.line(events.selected)
        return Ref(line.kind, line.key)

    def copyable(self) -> str | None:
        events = self.query_one(EventList)
        if events.selected is None:
            return None
        line = events.line(events.selected)
        return f"{line.at.isoformat()} {line.type} {line.subject} {line.text}"

    def action_follow(self) -> None:
        events = self.query_one(EventList)
        events.following = not events.following
        self._show_lines()

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    @on(Input.Changed, "#filter")
    def filter_lines(self) -> None:
        self._show_lines()

    @on(Input.Submitted, "#filter")
    def leave_filter(self, event: Input.Submitted) -> None:
        event.input.set_class(bool(event.value), "-open")
        self.query_one(EventList).focus()

    def go_back(self) -> None:
        """Escape: clear the filter first, then leave."""
        field = self.query_one("#filter", Input)
        if field.has_class("-open"):
            field.value = ""
            field.remove_class("-open")
            self.query_one(EventList).focus()
        else:
            super().go_back()

    @on(LineList.Opened)
    def open_selected(self) -> None:
        ref = self.subject()
        if ref is not None:
            self.control.open(ref)
