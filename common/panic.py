"""The one order that must not wait for the hub. The bridge and the hub read it alike."""

from __future__ import annotations

PLACEHOLDERS = "\ufffc\ufffd"
"""What Messages leaves in a text for an attachment or a balloon."""
CLOSING = ".!…"
"""iOS sets a full stop by itself after two spaces; people set the others."""


def first_line(text: str) -> str:
    """The first line as a person means it: no blank or closing signs around it."""
    lines = text.strip(PLACEHOLDERS + " \t\r\n\0").splitlines()
    return lines[0].strip().rstrip(CLOSING).rstrip() if lines else ""


def is_panic(text: str) -> bool:
    """Whether a text says `stop all`, whatever follows in further lines."""
    return first_line(text).casefold().split() == ["stop", "all"]
