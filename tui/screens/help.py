"""All keys of a screen, made from the key table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import EVERYWHERE, GROUPS, LIST, actions_for, shown_keys

LEGEND = (
    ("○ queued  ◔ leased  ● running  ◌ cancelling  ~ unknown (its node is silent)"),
    ("? approval  ! attention  ✓ succeeded  ✗ failed  ⊘ cancelled  ⊖ denied"),
)


class HelpDialog(ModalScreen[None]):
    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,f1", "leave", "leave", show=False),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
        Binding("ctrl+d,pagedown", "scroll(10)", "further down", show=False),
        Binding("ctrl+u,pageup", "scroll(-10)", "further up", show=False),
        Binding("g,home", "scroll(-1000)", "to the beginning", show=False),
        Binding("G,end", "scroll(1000)", "to the end", show=False),
    ]

    def __init__(self, place: str, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self.place = place
        self.remapped = remapped

    def compose(self) -> ComposeResult:
        box = Vertical(id="box", classes="-help")
        box.border_title = Content(f"Keys on this screen: {self.place}")
        box.border_subtitle = "esc closes"
        with box, VerticalScroll(id="keys"):
            yield Static(self._text())

    def _text(self) -> Content:
        actions = actions_for(self.place, EVERYWHERE, LIST)
        parts: list[Content | tuple[str, str] | str] = []
        for group in GROUPS:
            members = [action for action in actions if action.group == group]
            if members:
                parts.append((f"{group}\n", "bold $role-accent"))
            for action in members:
                keys = shown_keys(action, self.remapped, all_=True)
                parts += [(f"  {keys:<10} ", "bold $role-strong"), f"{action.help}", "\n"]
        parts.append(("States\n", "bold $role-accent"))
        parts += [f"  {line}\n" for line in LEGEND]
        return Content.assemble(*parts)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#keys", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)
