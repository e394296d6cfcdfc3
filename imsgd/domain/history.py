"""Telling a new text from its second copy, from an echo of our own reply and from a replay.

All decisions compare an admitted row with what the bridge recorded before; the records are
fetched by the caller, so nothing here knows a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from imsgd.domain.rows import from_apple

ECHO_EARLY_S = 5.0
"""An echo's date may lie this much before the send (rounding, clock steps)."""
ECHO_ANY_COPY_S = 600.0
"""So long after a send every equal text in the conversation is taken for its echo."""
ECHO_LATE_COPY_S = 24 * 3600.0
"""So long one late copy of each direction still counts, as iCloud may bring it hours later."""
PAIR_S = 3.0
"""The two copies of one text to oneself are mostly at most 2 s apart."""
FAR_PAIR_S = 15 * 60.0
"""Copies further apart (284 s were reported) pair when nothing was written between them."""
PREVIEW_S = 90.0
"""A link's preview row follows its text within seconds; the longest reported is under this."""

_LINK_DRESS = re.compile(r"(?i)https?://(?:www\.)?|\bwww\.")


class Repeat(StrEnum):
    """Why an admitted row has no effect of its own."""

    SEEN = "guid seen before"
    ECHO = "echo of an own reply"
    PAIR = "second copy of one text"
    REPLAY = "replayed from the past"
    TWIN = "equal to an earlier row"
    PREVIEW = "preview of a link in the text before"
    STALE = "too old to act on"
    BASELINE = "older than the bridge"
    LOOP = "loop with oneself"
    UNKNOWN_TARGET = "reaction to a message of somebody else"


@dataclass(frozen=True, slots=True)
class OwnSend:
    """One text the bridge sent, or was about to send, into a conversation."""

    id: int
    at: float
    uses_from_me: int = 0
    uses_to_me: int = 0


def matching_echo(sends: Iterable[OwnSend], *, at: float, from_me: bool) -> OwnSend | None:
    """The own send of equal text that a row dated `at` is the echo of.

    Both copies of a pair die, and so does any further copy for ten minutes; later than that each
    direction is believed once, so that a person may repeat the mesh's words the next day.
    """
    for send in sends:
        age = at - send.at
        if -ECHO_EARLY_S <= age <= ECHO_ANY_COPY_S:
            return send
        uses = send.uses_from_me if from_me else send.uses_to_me
        if ECHO_ANY_COPY_S < age <= ECHO_LATE_COPY_S and uses == 0:
            return send
    return None


@dataclass(frozen=True, slots=True)
class PastInput:
    """A text taken as input before: enough of it to recognise its copies."""

    guid: str
    date: int
    from_me: bool
    paired: bool = False
    is_next: bool = False
    """No other input stands between the two rows in their conversation."""


def other_half(past: Iterable[PastInput], *, date: int, from_me: bool) -> PastInput | None:
    """The earlier row of equal text whose other copy this is.

    Somebody who sends the same word twice makes two rows of the same direction, so only opposite
    directions pair, and each row pairs once. Minutes apart only neighbours do.
    """
    for text in past:
        apart_s = abs(from_apple(text.date) - from_apple(date))
        close = apart_s <= (FAR_PAIR_S if text.is_next else PAIR_S)
        if close and text.from_me != from_me and not text.paired:
            return text
    return None


def is_replay(past: Iterable[PastInput], *, guid: str, date: int, from_me: bool) -> bool:
    """Whether an equal text of the very same date and direction was seen under another guid."""
    return any(text.guid != guid and text.date == date and text.from_me == from_me for text in past)


def repeats_link(previous: Sequence[tuple[float, str]], *, at: float, text: str) -> bool:
    """Whether a preview row's text is contained in a text shortly before it, whatever scheme or
    last slash Messages put on."""
    link = _bare(text)
    return any(0 <= at - when <= PREVIEW_S and link in _bare(earlier) for when, earlier in previous)


def _bare(text: str) -> str:
    """A text without what Messages adds to its links: the scheme, `www.`, the last slash."""
    return _LINK_DRESS.sub("", text.strip()).rstrip("/")
