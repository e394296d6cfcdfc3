"""Finding our own bubble among the rows of chat.db, and reading from it what became of it.

osascript's exit status proves nothing: the row does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from imsgd.domain.handles import SELF, AllowList
from imsgd.domain.rows import Row
from imsgd.domain.words import digest, fingerprint, letters, visible

EARLY_S = 2.0
"""A row may be dated this much before osascript was about to start."""
MAX_PIECES = 4
"""So many rows at most are taken together for one bubble."""
QUIET_S = 3.0
"""A failure is written one to two seconds after the text counted as sent."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bubble whose row is looked for. `rowid_before` is None when the file was replaced."""

    conversation: str
    fingerprint: str
    at: float
    rowid_before: int | None


def find_rows(rows: Iterable[Row], wanted: Wanted, allow: AllowList, taken: set[str]) -> list[Row]:
    """The row that is this bubble and no other's, own direction before the mirrored copy; or the
    neighbouring rows that Messages made of it: words and link are stored apart."""
    may_be = [row for row in rows if row.guid not in taken and _may_be(row, wanted, allow)]
    whole = [row for row in may_be if fingerprint(row.text or "") == wanted.fingerprint]
    if whole:
        return [min(whole, key=lambda row: (not row.from_me, row.rowid))]
    for from_me in (True, False):
        found = _split([row for row in may_be if row.from_me is from_me], wanted.fingerprint)
        if found:
            return found
    return []


def _split(rows: list[Row], wanted: str) -> list[Row]:
    rows = sorted(rows, key=lambda row: row.rowid)
    for start in range(len(rows)):
        together = letters(rows[start].text or "")
        for end in range(start + 1, min(start + MAX_PIECES, len(rows))):
            together += letters(rows[end].text or "")
            if digest(together) == wanted:
                return rows[start : end + 1]
    return []


def _may_be(row: Row, wanted: Wanted, allow: AllowList) -> bool:
    if row.at < wanted.at - EARLY_S or not (row.from_me or wanted.conversation == SELF):
        return False
    if wanted.rowid_before is not None and row.rowid <= wanted.rowid_before:
        return False
    if row.item_type or row.associated_type or not row.text:
        return False
    return _is_in(row, wanted.conversation, allow)


def _is_in(row: Row, conversation: str, allow: AllowList) -> bool:
    return any(
        chat.identifier is not None
        and not allow.is_group(chat)
        and allow.conversation(chat.identifier) == conversation
        for chat in row.chats
    )


def has_ghost(rows: Iterable[Row], *, since: float) -> bool:
    """Whether Messages wrote the empty, unjoined outgoing row it writes for a lost text."""
    return any(
        row.from_me and not row.chats and not visible(row.text) and not row.has_body
        for row in rows
        if row.at >= since - EARLY_S
    )


class Fate(StrEnum):
    OPEN = "open"
    SENT = "sent"
    FAILED = "failed"


def fate_of(row: Row, *, seen_for_s: float) -> Fate:
    """What a bubble's row says now, `seen_for_s` after it was first seen."""
    if row.error:
        return Fate.FAILED
    if row.delivered or not row.from_me:
        return Fate.SENT  # a mirrored copy has made the whole way
    return Fate.SENT if row.sent and seen_for_s >= QUIET_S else Fate.OPEN
