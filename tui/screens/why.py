"""Why a task waits: the dispatcher's own verdict on every node."""

from __future__ import annotations

from typing import ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from common.errors import MeshError
from common.wire.tasks import Task
from tui.control import Control
from tui.state.cells import Role, cell
from tui.state.verdicts import why_lines
from tui.widgets.preview import Preview


class WhyDialog(ModalScreen[None]):
    """Asks the hub when it opens; any key of leaving closes it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,w,q", "leave", "leave", show=False)
    ]

    def __init__(self, of: Task) -> None:
        super().__init__()
        self.of = of

    def compose(self) -> ComposeResult:
        box = Vertical(id="box", classes="-why")
        box.border_title = Content(f"Why #{self.of.id}?")
        box.border_subtitle = "esc"
        with box:
            yield Preview()

    def on_mount(self) -> None:
        self.query_one(Preview).show([cell("asking the hub …", Role.MUTED)])
        self._ask()

    @work(group="why", exclusive=True)
    async def _ask(self) -> None:
        control = cast("Control", self.app)
        try:
            why = await control.hub.calls.why(self.of.id)
        except MeshError as error:
            lines = [cell(error.message, Role.BAD)]
        else:
            lines = why_lines(why, control.store.now(control.clock.now()))
        preview = self.query_one(Preview)
        preview.styles.height = max(3, len(lines) + 2)
        preview.show(lines)

    def action_leave(self) -> None:
        self.dismiss(None)
