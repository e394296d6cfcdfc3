"""The iMessage thread as the hub sees it, as blocks with their delivery state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from common.wire.messages import Message
from tui.state import words
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.measures import moment
from tui.state.plain import one_line, paragraphs
from tui.state.store import Store
from tui.state.transcript import Block


def chats(store: Store) -> list[str]:
    """The chats there are, the one that was written in last at the end."""
    last: dict[str, Message] = {}
    for message in store.folded.messages.values():
        known = last.get(message.chat)
        if known is None or message.at >= known.at:
            last[message.chat] = message
    return sorted(last, key=lambda chat: (last[chat].at, chat))


def chat_name(chat: str | None) -> str:
    """`+15550100` of `iMessage;-;+15550100`."""
    return one_line((chat or "").rpartition(";")[2])


def thread(store: Store, chat: str | None, now: float, zone: tzinfo | None) -> list[Block]:
    """The messages of one chat, oldest first."""
    messages = [m for m in store.folded.messages.values() if m.chat == chat]
    messages.sort(key=lambda message: (message.at, _place(message)))
    return [
        Block(number, hash(lines := tuple(bubble(message, now, zone))), lines)
        for number, message in enumerate(messages, start=1)
    ]


def _place(message: Message) -> tuple[str, int]:
    way, _, number = message.id.partition("-")
    return (way, int(number) if number.isdigit() else 0)


def bubble(message: Message, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    """Who, when and how it was delivered, then its text behind a bar."""
    theirs = message.direction == "in"
    who = one_line(message.sender or "you") if theirs else "mesh"
    look = words.MESSAGE[message.state]
    bar = Role.ACCENT if theirs else Role.FAINT
    yield (
        Piece("▎ ", bar),
        Piece(f"{who}  ", Role.STRONG if theirs else Role.OK),
        Piece(f"{moment(message.at, now, zone)}  ", Role.FAINT),
        Piece(f"{look.glyph} {look.word}", look.role),
        Piece("  perhaps twice" if message.maybe_duplicate else "", Role.WARN),
        Piece(f"  #{message.task_id}" if message.task_id else "", Role.MUTED),
        Piece(f"  {message.approval_code}" if message.approval_code else "", Role.ASK),
    )
    for line in paragraphs(message.text):
        yield (Piece("▎ ", bar), *cell(line))
    if message.error:
        yield (Piece("▎ ", bar), *cell(message.error, Role.BAD))
    yield ()
