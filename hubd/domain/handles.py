"""Handles of people: exact once normalised, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PHONE_NOISE = str.maketrans("", "", " -().\u00a0\u2011")
_PHONE = re.compile(r"^\+?[0-9]{3,15}$")
_EMAIL = re.compile(r"^[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+$")


def normalize(handle: str) -> str | None:
    """A phone number without spaces and brackets, or a lower-case address; None for others.

    No country code is added: a number written without one only equals itself.
    """
    text = handle.strip()
    for prefix in ("tel:", "mailto:"):
        if text.lower().startswith(prefix):
            text = text[len(prefix) :]
    if _EMAIL.match(text):
        return text.lower()
    digits = text.translate(_PHONE_NOISE)
    return digits if _PHONE.match(digits) else None


def allowed_set(handles: Iterable[str]) -> frozenset[str]:
    return frozenset(h for h in map(normalize, handles) if h is not None)


def is_allowed(handle: str, allowed: frozenset[str]) -> bool:
    normal = normalize(handle)
    return normal is not None and normal in allowed


def handle_in_chat(chat: str) -> str | None:
    """The other party of a one-to-one chat id such as `iMessage;-;+491511234567`; None for a
    group and for an id that names nobody."""
    if ";" not in chat:
        return normalize(chat)
    parts = chat.split(";")
    if len(parts) != 3 or parts[1] != "-" or parts[0].lower() not in ("imessage", "any"):
        return None
    return normalize(parts[2])
