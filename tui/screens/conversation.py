"""The iMessage thread, and a line to type into it as the operator."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from tui.keys import CONVERSATION
from tui.screens.base import MeshScreen, screen_bindings
from tui.state.plain import one_line
from tui.state.store import EVERYTHING, Ref
from tui.state.thread import chat_name, chats, thread
from tui.widgets.panel import Panel
from tui.widgets.text_list import TextList


class ConversationScreen(MeshScreen):
    """What is typed is parsed by the hub, exactly as a text from the phone."""

    place = CONVERSATION
    CSS_PATH = "conversation.tcss"
    BINDINGS: ClassVar[list[BindingType]] = screen_bindings(CONVERSATION)
    AUTO_FOCUS = "#say"

    def __init__(self) -> None:
        super().__init__()
        self.chat: str | None = None

    def body(self) -> ComposeResult:
        view = TextList(follow=True, empty="No text was exchanged yet.", element_id="thread")
        yield Panel("Texts", view, element_id="thread-panel")
        yield Input(placeholder="Type as you would from the phone: status, why 42, @researcher …",
                    id="say", compact=True)  # fmt: skip

    def show_changes(self, changed: frozenset[Ref]) -> None:
        if EVERYTHING not in changed and not any(ref.kind == "message" for ref in changed):
            return
        store = self.control.store
        known = chats(store)
        if self.chat not in known:
            self.chat = known[-1] if known else None
        now = store.now(self.control.clock.now())
        blocks = thread(store, self.chat, now, self.control.zone)
        self.query_one("#thread", TextList).show_blocks(blocks)
        place = ""
        if self.chat is not None and len(known) > 1:
            place = f"{known.index(self.chat) + 1} of {len(known)} "
        bridge = store.folded.bridge.state
        self.query_one("#thread-panel", Panel).say(
            f"{place}{chat_name(self.chat)}".strip(), f"bridge {one_line(bridge)}"
        )

    def action_previous_chat(self) -> None:
        self._go(-1)

    def action_next_chat(self) -> None:
        self._go(1)

    def _go(self, by: int) -> None:
        known = chats(self.control.store)
        if self.chat in known:
            self.chat = known[(known.index(self.chat) + by) % len(known)]
            self.show_all()

    @on(Input.Submitted, "#say")
    def say(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        order = self.control.verbs.say(text, self.chat) if text else None
        if order is not None:
            event.input.value = ""
            self.control.place_order(order.then(partial(self._said, text)))

    def _said(self, text: str, confirmed: bool) -> None:
        line = self.query_one("#say", Input)
        if not confirmed and not line.value:
            line.value = text

    def copyable(self) -> str | None:
        messages = [m for m in self.control.store.folded.messages.values() if m.chat == self.chat]
        return max(messages, key=lambda m: m.at).text if messages else None

    def go_back(self) -> None:
        """Escape leaves the line first, then the screen."""
        if isinstance(self.focused, Input):
            self.query_one("#thread", TextList).focus()
        else:
            super().go_back()
