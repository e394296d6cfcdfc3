"""What every screen has: the header strip, the order line, the key bar, and a subject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from tui.control import Control
from tui.keys import BY_ID, actions_for, bindings_for, shown_keys
from tui.state.header import banner, header
from tui.state.store import LINK, Ref
from tui.widgets.line_list import LineList
from tui.widgets.painting import Painter
from tui.widgets.strips import HeaderStrip, KeyBar, TextLine

NARROW = 100


class MeshScreen(Screen[None]):
    """A full screen. `place` names it in the key table; `body` composes what is between."""

    place: ClassVar[str]

    @property
    def control(self) -> Control:
        return cast("Control", self.app)

    def compose(self) -> ComposeResult:
        yield HeaderStrip(self._header_parts)
        yield from self.body()
        yield TextLine(element_id="order-line")
        yield KeyBar()

    def body(self) -> ComposeResult:
        """What stands between header and order line."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.control.changes.subscribe(self, self._on_changes)
        self.show_all()

    def on_screen_resume(self) -> None:
        self.show_all()

    # -- what changes ---------------------------------------------------------------------

    def show_all(self) -> None:
        """Take everything anew from the store."""
        self.show_changes(frozenset({Ref("everything")}))
        self._show_frame()

    def show_changes(self, changed: frozenset[Ref]) -> None:
        """Take over what changed; called at most four times a second, and once a second with
        `link` for the ages."""

    def show_selected(self) -> None:
        """Show what belongs to the selected line elsewhere on the screen."""

    def subject(self) -> Ref | None:
        """What the selected line is about; verbs concern that."""
        return None

    def task_subject(self) -> Ref | None:
        """The same for the verbs of tasks, where a screen has both."""
        return self.subject()

    def marked(self) -> Iterable[int]:
        """Ids of the tasks chosen for a batch."""
        return ()

    def unmark(self) -> None:
        """Forget the batch: it was ordered."""

    def copyable(self) -> str | None:
        """What `copy` puts into the clipboard."""
        return None

    def go_back(self) -> None:
        """Escape: out of a detail to where one came from."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        else:
            self.control.verbs.go_dashboard()

    def _on_changes(self, changed: frozenset[Ref]) -> None:
        if self.is_current:
            self.show_changes(changed)
            self._show_frame()
        elif LINK in changed and self._under_dialog:
            self.show_all()

    @property
    def _under_dialog(self) -> bool:
        """Whether it is seen around a dialog: then it is kept true once a second."""
        stack = self.app.screen_stack
        return self.app.screen.is_modal and len(stack) > 1 and stack[-2] is self

    def _header_parts(self) -> HeaderStrip.Parts:
        store, local = self.control.store, self.control.clock.now()
        narrow = self.app.size.width < NARROW
        left, right = header(store, local, self.control.zone, narrow=narrow)
        return left, right, banner(store, local, self.control.zone)

    def _show_frame(self) -> None:
        self.query_one(HeaderStrip).show()
        self.query_one("#order-line", TextLine).show(
            self.control.orders.line(self.control.clock.now())
        )
        self.show_keys()
        self._fade(self.control.store.loaded and not self.control.store.link.live)

    def _fade(self, on: bool) -> None:
        for painter in self.walk_children(Painter):
            if painter.fades and painter.faded is not on:
                painter.fade(on)

    # -- keys -----------------------------------------------------------------------------

    def show_keys(self) -> None:
        """The key bar: what does something to the present subject, in the table's order."""
        applicable = self.control.verbs.applicable(self)
        own = set(BY_ID) if self.control.store.loaded else set()
        shown = [
            action
            for action in actions_for(self.place, "everywhere", "list")
            if action.bar and action.id in (applicable if action.verb else own)
        ]
        shown.sort(key=lambda action: action.bar)
        remapped = self.control.remapped
        self.query_one(KeyBar).show_keys(
            tuple((a.id, shown_keys(a, remapped), a.label) for a in shown)
        )

    @on(LineList.Moved)
    def follow_selection(self) -> None:
        """Whether a person or new data moved it: what can be done to it changes with it."""
        self.show_selected()
        self.show_keys()

    def on_descendant_focus(self) -> None:
        if self.is_mounted:
            self.follow_selection()

    @on(KeyBar.Pressed)
    async def press_shown_key(self, message: KeyBar.Pressed) -> None:
        action = BY_ID[message.action_id]
        target = self.focused or self
        if action.verb:
            self.control.verbs.run(action.id)
        else:
            await self.app.run_action(action.id, default_namespace=target)


def screen_bindings(place: str) -> list[BindingType]:
    """The bindings of a screen class."""
    return [*bindings_for(place)]
