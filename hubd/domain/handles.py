"""Who may command the mesh: exact once normalised, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterable

from common.handles import address_of, normalise


def allowed_set(handles: Iterable[str]) -> frozenset[str]:
    return frozenset(filter(None, map(normalise, handles)))


def is_allowed(handle: str, allowed: frozenset[str]) -> bool:
    return normalise(handle) in allowed


def handle_in_chat(chat: str) -> str | None:
    """The other party of a one-to-one chat id such as `iMessage;-;+491511234567`; None for a
    group and for an id that names nobody."""
    address = address_of(chat)
    return None if address is None else normalise(address)
