"""Writing a new task, or going on with a finished one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static, TextArea

from common.wire.tasks import Priority, SubmitTask, Task
from tui.errors import TuiError
from tui.state.drafts import ASK_FIRST, BY_POLICY, NO_QUESTION, Draft
from tui.state.plain import one_line
from tui.state.store import Store

if TYPE_CHECKING:
    from tui.control import Control


class NewTaskDialog(ModalScreen[SubmitTask | None]):
    """Returns the request, or None when left. ctrl+s sends; so does ctrl+j, for terminals that
    keep ctrl+s to themselves."""

    CSS_PATH = "new_task.tcss"
    AUTO_FOCUS = "#prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave", show=False),
        Binding("ctrl+s,ctrl+j", "send", "send", show=False),
    ]

    def __init__(self, store: Store, continue_of: Task | None = None, written: str = "") -> None:
        super().__init__()
        self.written = written
        self.nodes = [node.name for node in store.nodes()]
        self.specialists = sorted(
            {name for node in store.folded.nodes.values() for name in node.specialists}
        )
        self.continue_of = continue_of

    def compose(self) -> ComposeResult:
        box = Vertical(id="box")
        old = self.continue_of
        title = f"Go on with #{old.id} {one_line(old.title)}" if old else "New task"
        box.border_title = Content(title)
        with box:
            yield TextArea(
                self.written, id="prompt", placeholder="What is to be done?", compact=True
            )
            with Grid(id="fields"):
                if old is None:
                    yield from self._field("specialist", self._pick("specialist", self.specialists))
                    yield from self._field("node", self._pick("node", self.nodes))
                yield from self._field("priority", self._priority())
                yield from self._field("approval", self._approval())
                yield from self._field("cap $", Input(id="cap", placeholder="none", compact=True))
                if old is None:
                    field = Input(id="project", placeholder="name[@branch]", compact=True)
                    yield from self._field("project", field)
            yield Static(id="fault")
            with Horizontal(id="buttons"):
                yield Button(Content("^s  send"), id="yes", compact=True)
                yield Button(Content("esc  leave it"), id="no", compact=True)

    def _field(self, name: str, widget: Select[str] | Input) -> ComposeResult:
        yield Label(Content(name))
        yield widget

    def _pick(self, name: str, options: list[str]) -> Select[str]:
        return Select(
            [(Content(option), option) for option in options],
            prompt="any", id=name, compact=True,
        )  # fmt: skip

    def _priority(self) -> Select[str]:
        options = [(each.value, each.value) for each in (*Priority,)]
        return Select(
            options, value=Priority.NORMAL.value, allow_blank=False, id="priority", compact=True
        )

    def _approval(self) -> Select[str]:
        options = [
            ("as the policy says", BY_POLICY),
            ("ask me first", ASK_FIRST),
            ("do not ask", NO_QUESTION),
        ]
        return Select(options, value=BY_POLICY, allow_blank=False, id="approval", compact=True)

    def draft(self) -> Draft:
        """The fields as they are."""
        old = self.continue_of
        return Draft(
            prompt=self.query_one("#prompt", TextArea).text,
            specialist="" if old else self._picked("specialist"),
            node="" if old else self._picked("node"),
            project="" if old else self.query_one("#project", Input).value,
            priority=self._picked("priority"),
            approval=self._picked("approval"),
            cap_usd=self.query_one("#cap", Input).value,
            continue_of=old.id if old else None,
        )

    def _picked(self, name: str) -> str:
        value = self.query_one(f"#{name}", Select).value
        return value if isinstance(value, str) else ""

    def on_mount(self) -> None:
        prompt = self.query_one("#prompt", TextArea)
        prompt.move_cursor(prompt.document.end)

    @on(TextArea.Changed, "#prompt")
    def note(self, event: TextArea.Changed) -> None:
        """What is left or not confirmed comes back with the next dialog."""
        self.written = event.text_area.text

    @on(Button.Pressed, "#yes")
    def action_send(self) -> None:
        if not cast("Control", self.app).gate.stood():
            fault = "That came before this was on the screen: press it again to send."
            self.query_one("#fault", Static).update(Content(fault))
            return
        try:
            self.dismiss(self.draft().request())
        except TuiError as error:
            self.query_one("#fault", Static).update(Content(error.message))

    @on(Button.Pressed, "#no")
    def action_leave(self) -> None:
        self.dismiss(None)
