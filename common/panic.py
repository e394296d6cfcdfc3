"""The one order that must not wait for the hub. The bridge and the hub read it alike."""

from __future__ import annotations

PLACEHOLDERS = "\ufffc\ufffd"
"""What Messages leaves in a text for an attachment or a balloon."""
CLOSING = ".!…"
"""iOS sets a full stop by itself after two spaces; people set the others."""

_VERBS = frozenset({"stop", "cancel", "kill", "abort", "halt"})
_OBJECTS = frozenset(
    {"all", "everything", "it all", "all tasks", "all work", "all of it", "all of them"}
)
_POLITE = frozenset({"please", "now", "immediately", "right now", "at once"})
_AROUND = ".,!…?;:'\"()-\u2018\u2019\u201c\u201d\u2013\u2014"


def first_line(text: str) -> str:
    """The first line as a person means it: no blank or closing signs around it."""
    lines = text.strip(PLACEHOLDERS + " \t\r\n\0").splitlines()
    return lines[0].strip().rstrip(CLOSING).rstrip() if lines else ""


def is_panic(text: str) -> bool:
    """Whether a text says `stop all`, in whatever spelling, and whatever follows in further lines.

    Only the whole line counts: `stop all the servers` is work.
    """
    words = [word.strip(_AROUND) for word in first_line(text).casefold().split()]
    words = [word for word in words if word]
    for length in (1, 2):
        while len(words) > length and " ".join(words[-length:]) in _POLITE:
            words = words[:-length]
    return len(words) > 1 and words[0] in _VERBS and " ".join(words[1:]) in _OBJECTS
