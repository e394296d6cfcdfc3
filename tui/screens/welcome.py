"""Nothing to show yet: says what to type. Goes away by itself when the hub answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll

from tui.screens.base import MeshScreen
from tui.state.store import Ref
from tui.state.welcome import welcome
from tui.widgets.preview import Preview


class WelcomeScreen(MeshScreen):
    place = "welcome"
    CSS_PATH = "welcome.tcss"
    BINDINGS: ClassVar[list[BindingType]] = []

    def body(self) -> ComposeResult:
        with VerticalScroll(id="middle"):
            yield Preview()

    def show_changes(self, changed: frozenset[Ref]) -> None:
        control = self.control
        lines = welcome(
            control.store.link, control.hub.where, control.no_token, control.clock.now()
        )
        self.query_one(Preview).show(lines)

    def go_back(self) -> None:
        """There is nowhere to go back to."""
