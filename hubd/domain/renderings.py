"""Reactions and edits that an older Messages shows as plain texts, and texts that are only a part.

A newer phone writes `Loved “…”` or `Edited to “…”` where the receiver knows no better. Such a line
is taken for what it stands for only when it quotes what was said in its thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

_OPEN, _CLOSE = '“"„«\u2039「『\u2018', '”"“»\u203a」』\u2019'
_QUOTE = rf"[{_OPEN}]\s*(?P<quote>.*?)\s*[{_CLOSE}]"
_THING = (
    r"an? (?P<thing>image|photo|picture|movie|video|attachment|audio message|voice message|"
    r"sticker|link|file|location|contact)"
)
_VERBS = {
    "loved": "love",
    "liked": "like",
    "disliked": "dislike",
    "laughed at": "laugh",
    "emphasized": "emphasise",
    "emphasised": "emphasise",
    "questioned": "question",
}
_REACTED = re.compile(
    rf"^(?:(?P<verb>{'|'.join(_VERBS)})|reacted (?P<sign>\S{{1,32}}|with an? sticker) to)\s+"
    rf"(?:{_QUOTE}|{_THING})\.?$",
    re.IGNORECASE | re.DOTALL,
)
_REMOVED = re.compile(
    rf"^removed (?:an? |the )?.{{1,40}}? from\s+(?:{_QUOTE}|{_THING})\.?$",
    re.IGNORECASE | re.DOTALL,
)
_EDITED = re.compile(rf"^edited to\s+{_QUOTE}\.?$", re.IGNORECASE | re.DOTALL)

SHORT = 12
"""A quote with fewer letters must be the whole of what was said, not a part of it."""
ALIKE = 0.5

_LINK = re.compile(r"^<?(?:https?://|www\.)\S+>?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reaction:
    """`sign` as the bridge names one; None when it was taken back. `quote` None: it named a thing,
    such as an image."""

    sign: str | None
    quote: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    text: str


def read(text: str) -> Reaction | Edit | None:
    """What a text would stand for, if it quotes its thread."""
    body = text.strip()
    if match := _EDITED.match(body):
        return Edit(match["quote"])
    if match := _REMOVED.match(body):
        return Reaction(None, match["quote"])
    if match := _REACTED.match(body):
        verb, sign = match["verb"], match["sign"]
        named = _VERBS[verb.lower()] if verb else sign
        return Reaction("sticker" if " " in named else named, match["quote"])
    return None


def letters(text: str) -> str:
    """What survives the ways in which a text is shown: Markdown, quotes and spaces do not."""
    return "".join(char for char in text.casefold() if char.isalnum())


def quotes(quote: str | None, said: str) -> bool:
    """Whether `quote` shows `said`, a bubble of it, or its beginning."""
    shown, whole = letters(quote or ""), letters(said)
    if not shown:
        return quote is None or not quote.strip("… .")
    return shown in whole if len(shown) >= SHORT else shown == whole


def likeliest(text: str, said: Iterable[str]) -> int | None:
    """The place of the text that an edit was probably made of; None when none is like it."""
    best, found = ALIKE, None
    edited = letters(text)
    for place, one in enumerate(said):
        before = letters(one)
        alike = SequenceMatcher(None, edited, before, autojunk=False).ratio()
        if before and (edited.startswith(before) or before.startswith(edited)):
            alike = max(alike, 0.9)
        if alike > best:
            best, found = alike, place
    return found


def is_link(text: str) -> bool:
    """Whether a text is addresses and nothing else: what Messages makes of the end of a text."""
    words = text.split()
    return bool(words) and all(_LINK.match(word) for word in words)


def joined(words: str, part: str) -> str:
    """Words and what was sent beside them, each once."""
    if not part or _in(part, words):
        return words
    return f"{words}\n{part}" if words else part


def _in(part: str, words: str) -> bool:
    """Links are compared without what Messages adds: the scheme, `www.`, the last slash."""
    bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", part.strip(), flags=re.IGNORECASE).rstrip("/")
    return bool(bare) and bare.casefold() in words.casefold()
