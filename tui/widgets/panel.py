"""A titled frame around a list; its title says how much is in it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget


class Panel(Vertical):
    """`title` is ours, never foreign text."""

    def __init__(self, title: str, *children: Widget, element_id: str) -> None:
        super().__init__(*children, id=element_id)
        self._title = title
        self._said: tuple[str, str] | None = None
        self.say("")

    def compose(self) -> ComposeResult:
        yield from ()

    def say(self, count: str, right: str = "") -> None:
        """What stands in the frame behind the title, and below right."""
        if self._said != (count, right):
            self._said = (count, right)
            self.border_title = Content(f"{self._title} {count}".rstrip())
            self.border_subtitle = Content(right)
