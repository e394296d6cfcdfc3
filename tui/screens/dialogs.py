"""The questions asked back: yes or no, a note, a word to type, one of several answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from common.wire.approvals import Approval
from tui.state.confirmations import Asking
from tui.state.plain import exposed, one_line

if TYPE_CHECKING:
    from tui.control import Control
    from tui.gate import KeyGate

R = TypeVar("R")


class Dialog(ModalScreen[R | None], Generic[R]):
    """A box in the middle; escape leaves it with None."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave", show=False)]

    def __init__(self, asking: Asking) -> None:
        super().__init__()
        self.asking = asking

    def compose(self) -> ComposeResult:
        box = Vertical(id="box", classes=f"-{self.asking.role}")
        box.border_title = Content(self.asking.title)
        with box:
            for line in self.asking.lines:
                yield Static(Content(line), classes="line")
            if self.asking.exact:
                with VerticalScroll(id="exact"):
                    yield Static(Content("\n".join(self.asking.exact)))
            yield from self.field()
            with Horizontal(id="buttons"):
                yield from self.buttons()

    def field(self) -> ComposeResult:
        yield from ()

    def buttons(self) -> ComposeResult:
        yield Button(Content(self.asking.yes), id="yes", compact=True)
        yield Button(Content("leave it"), id="no", compact=True)

    def finish_with(self, answer: R) -> None:
        """Close with an answer, if the dialog was there to be read when the key was pressed."""
        if self._gate.stood():
            self.dismiss(answer)
        else:
            self.press_again()

    def press_again(self) -> None:
        """Say that the key was not taken for an answer."""
        self.query_one("#box").border_subtitle = Content("press it again")

    @property
    def _gate(self) -> KeyGate:
        return cast("Control", self.app).gate

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#no")
    def leave(self) -> None:
        self.dismiss(None)


class ConfirmDialog(Dialog[bool]):
    """Answered by y or n, or a button; what is destructive has the focus on *leave it*."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "yes", show=False),
        Binding("n", "leave", "no", show=False),
        Binding("left,right", "app.focus_next", "other", show=False),
    ]
    AUTO_FOCUS = "#no"

    def buttons(self) -> ComposeResult:
        yield Button(Content(f"y  {self.asking.yes}"), id="yes", compact=True)
        yield Button(Content("n  leave it"), id="no", compact=True)

    @on(Button.Pressed, "#yes")
    async def action_yes(self) -> None:
        if not self._gate.stood():
            self.press_again()
        elif self._gate.surely_alone:
            self.dismiss(True)
        else:
            self.run_worker(self._when_alone(), group="decide")

    async def _when_alone(self) -> None:
        if not await self._gate.alone():
            self.press_again()
        elif self.is_current:
            self.dismiss(True)


class NoteDialog(Dialog[str]):
    """Returns the note, perhaps empty; None when left."""

    AUTO_FOCUS = "#note"

    def field(self) -> ComposeResult:
        yield Input(placeholder=self.asking.note, id="note", max_length=500, compact=True)

    def buttons(self) -> ComposeResult:
        yield Button(Content(f"⏎  {self.asking.yes}"), id="yes", compact=True)
        yield Button(Content("esc  leave it"), id="no", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def finish(self) -> None:
        self.finish_with(self.query_one("#note", Input).value.strip())


class TypedDialog(Dialog[bool]):
    """Nothing happens before `word` was typed."""

    AUTO_FOCUS = "#word"

    def __init__(self, asking: Asking, word: str) -> None:
        super().__init__(asking)
        self.word = word

    def field(self) -> ComposeResult:
        yield Input(placeholder=f"type {self.word}", id="word", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def finish(self) -> None:
        field = self.query_one("#word", Input)
        if field.value.strip().lower() == self.word.lower():
            self.finish_with(True)
        else:
            field.add_class("-wrong")
            field.focus()


class ChoiceDialog(Dialog[str]):
    """A question's own answers, or one in words."""

    AUTO_FOCUS = "OptionList"

    def __init__(self, approval: Approval) -> None:
        lines = (one_line(approval.summary),)
        exact = tuple(exposed(approval.detail)) if approval.detail else ()
        super().__init__(Asking(f"{approval.code} asks", lines, "answer", exact=exact))
        self.choices = approval.choices

    def field(self) -> ComposeResult:
        if self.choices:
            yield OptionList(*(Option(Content(one_line(choice))) for choice in self.choices))
        yield Input(placeholder="or an answer of your own", id="own", compact=True)

    def on_mount(self) -> None:
        if not self.choices:
            self.query_one("#own", Input).focus()

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        self.finish_with(self.choices[event.option_index])

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def finish(self) -> None:
        own = self.query_one("#own", Input).value.strip()
        if own:
            self.finish_with(own)
        elif self.choices:
            chosen = self.query_one(OptionList).highlighted
            if chosen is not None:
                self.finish_with(self.choices[chosen])
