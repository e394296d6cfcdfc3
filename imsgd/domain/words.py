"""Comparing texts that went through Messages, and the few words the bridge knows itself."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from common.panic import PLACEHOLDERS

_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\ufffc\ufffd]")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_REPLY_FORM = re.compile(r"#\d+\b")


def visible(text: str | None) -> str:
    """What a person wrote: no attachment or balloon placeholders at the edges, no blank edges."""
    return (text or "").strip(PLACEHOLDERS + " \t\r\n\0")


def letters(text: str) -> str:
    """The letters and digits of a text, which survive whatever Messages does to it."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    return "".join(char for char in folded if char.isalnum())


def comparable(text: str) -> str:
    """The form in which an own send is recognised when it comes back.

    Messages may change quotes, dashes, variation selectors and white space on the way; letters
    and digits survive. A text without any (an emoji) is compared as it is.
    """
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold()
    return letters(text) or "".join(folded.split())


def fingerprint(text: str) -> str:
    return digest(comparable(text))


def digest(comparable_text: str) -> str:
    return hashlib.sha256(comparable_text.encode("utf-8", "surrogatepass")).hexdigest()


def pieces(text: str) -> list[str]:
    """What Messages may make of a text with a link besides one row: the words before it, the link
    and the words after it, each a row."""
    found: list[str] = []
    for link in _LINK.finditer(text):
        found += [text[: link.start()], link[0], text[link.end() :]]
    return list(dict.fromkeys(piece.strip() for piece in found if letters(piece)))


def has_reply_form(text: str) -> bool:
    """Whether a text looks like one of the mesh's own replies, which begin with a task's id."""
    return _REPLY_FORM.match(text) is not None
