"""The outgoing side of the ledger: replies, their bubbles, and what was proven of each."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from common.wire.messages import OutboxItem

KEEP_S = 90 * 24 * 3600.0
"""A question may be answered by a reaction weeks later; then its guid must still be known."""


class BubbleState(StrEnum):
    """`handed`: osascript ended; `orphaned`: the bridge died while it may have been running;
    `seen`: its row is in chat.db; `lost`: orphaned and no row came."""

    INTENT = "intent"
    NOT_STARTED = "not_started"
    HANDED = "handed"
    ORPHANED = "orphaned"
    LOST = "lost"
    SEEN = "seen"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


WATCHED = (BubbleState.HANDED, BubbleState.ORPHANED, BubbleState.SEEN)
SETTLED = (BubbleState.SENT, BubbleState.FAILED, BubbleState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Item:
    """A reply; `hub_id` is None for the bridge's own words."""

    id: int
    hub_id: int | None
    claim: str | None
    claims: int
    chat: str
    text: str | None
    state: str
    error: str | None
    maybe_duplicate: bool
    at: float


@dataclass(frozen=True, slots=True)
class Bubble:
    id: int
    item_id: int
    part: int
    conversation: str
    fingerprint: str
    state: BubbleState
    at: float
    rowid_before: int
    identity: str
    verify_from: float | None
    seen_at: float | None
    guid: str | None
    message_rowid: int | None
    error: str | None
    again: bool


_ITEM = "id, hub_id, claim, claims, chat, text, state, error, maybe_duplicate, at"
_BUBBLE = (
    "id, item_id, part, conversation, fingerprint, state, at, rowid_before, identity, verify_from,"
    " seen_at, guid, message_rowid, error, again"
)


def _item(row: sqlite3.Row) -> Item:
    return Item(**{**dict(row), "maybe_duplicate": bool(row["maybe_duplicate"])})


def _bubble(row: sqlite3.Row) -> Bubble:
    return Bubble(**{**dict(row), "state": BubbleState(row["state"]), "again": bool(row["again"])})


def accept(connection: sqlite3.Connection, offered: OutboxItem, *, now: float) -> None:
    """Take a claimed reply. One that is known already only gets its new claim, and is reported
    again if it is settled: the hub did not hear the first report. The digest keeps a hub that
    started over, and numbers from one again, apart from the one before."""
    digest = hashlib.sha256(f"{offered.chat}\0{offered.text}".encode()).hexdigest()
    connection.execute(
        "INSERT INTO items (hub_id, digest, claim, claims, chat, text, at)"
        " VALUES (:hub_id, :digest, :claim, :claims, :chat, :text, :at)"
        " ON CONFLICT (hub_id, digest) DO UPDATE SET claim = excluded.claim, reported = 0",
        {
            "hub_id": offered.id,
            "digest": digest,
            "claim": offered.claim,
            "claims": offered.claims,
            "chat": offered.chat,
            "text": offered.text,
            "at": now,
        },
    )


def say(connection: sqlite3.Connection, chat: str, text: str, *, now: float) -> None:
    """Queue words of the bridge's own."""
    connection.execute(
        "INSERT INTO items (chat, text, reported, at) VALUES (:chat, :text, 1, :at)",
        {"chat": chat, "text": text, "at": now},
    )


def open_items(connection: sqlite3.Connection) -> list[Item]:
    """The replies not settled yet, oldest first; the bridge's own words go before all others."""
    rows = connection.execute(
        f"SELECT {_ITEM} FROM items WHERE state = 'open' ORDER BY hub_id IS NOT NULL, id"
    ).fetchall()
    return [_item(row) for row in rows]


def next_item(connection: sqlite3.Connection) -> Item | None:
    """The first of them."""
    return next(iter(open_items(connection)), None)


def finish_item(
    connection: sqlite3.Connection, item_id: int, state: BubbleState, error: str | None = None
) -> None:
    """Settle a reply; it is reported (again) to the hub if it came from there."""
    connection.execute(
        "UPDATE items SET state = :state, error = :error, text = NULL,"
        " reported = (hub_id IS NULL) WHERE id = :id",
        {"id": item_id, "state": state, "error": error},
    )


def prove_item(connection: sqlite3.Connection, item_id: int) -> None:
    """All parts are in chat.db: what they come to is told by their rows, which may tell already."""
    connection.execute("UPDATE items SET state = 'proving' WHERE id = :id", {"id": item_id})
    revise_item(connection, item_id)


def revise_item(connection: sqlite3.Connection, item_id: int) -> bool:
    """Settle a reply by its bubbles, or settle it anew when one of them changed its mind: a late
    error makes it failed, a late row of the missing bubble makes it sent. True if it changed."""
    item = connection.execute("SELECT state FROM items WHERE id = :id", {"id": item_id}).fetchone()
    if item is None or item["state"] == "open":
        return False
    latest = _standing(bubbles_of(connection, item_id))
    if item["state"] == "proving" and not all(bubble.state in SETTLED for bubble in latest):
        return False
    for state in (BubbleState.FAILED, BubbleState.UNKNOWN, BubbleState.SENT):
        found = [bubble for bubble in latest if bubble.state is state]
        if found and state != item["state"]:
            finish_item(connection, item_id, state, located(found[0], len(latest)))
        if found:
            return bool(state != item["state"])
    return False


def _standing(bubbles: list[Bubble]) -> list[Bubble]:
    """The bubble that speaks for each part: the one that arrived, else the last one tried."""
    by_part: dict[int, Bubble] = {}
    for bubble in bubbles:
        arrived = by_part.get(bubble.part)
        if arrived is None or arrived.state is not BubbleState.SENT:
            by_part[bubble.part] = bubble
    return list(by_part.values())


def located(bubble: Bubble, parts: int) -> str | None:
    """A bubble's error, with its place if the reply has several."""
    if bubble.error is None or bubble.state is BubbleState.SENT:
        return None
    return bubble.error if parts == 1 else f"part {bubble.part + 1} of {parts}: {bubble.error}"


def unreported(connection: sqlite3.Connection) -> list[tuple[Item, list[Bubble]]]:
    rows = connection.execute(
        f"SELECT {_ITEM} FROM items WHERE reported = 0 AND state NOT IN ('open', 'proving')"
        " ORDER BY id LIMIT 50"
    ).fetchall()
    return [(_item(row), bubbles_of(connection, row["id"])) for row in rows]


def untold_before(connection: sqlite3.Connection, conversation: str, rowid: int) -> list[Bubble]:
    """Bubbles the hub has not been told of that stand above a row, or may turn out to."""
    rows = connection.execute(
        f"SELECT {_BUBBLE} FROM bubbles WHERE conversation = :conversation"
        " AND item_id IN (SELECT id FROM items WHERE reported = 0)"
        " AND (message_rowid < :rowid OR (message_rowid IS NULL AND rowid_before < :rowid"
        " AND state IN ('intent', 'handed', 'orphaned')))",
        {"conversation": conversation, "rowid": rowid},
    ).fetchall()
    return [_bubble(row) for row in rows]


def mark_reported(connection: sqlite3.Connection, item: Item) -> None:
    """Unless it was settled differently, or claimed anew, while the report was under way."""
    connection.execute(
        "UPDATE items SET reported = 1 WHERE id = :id AND state = :state AND claim IS :claim",
        {"id": item.id, "state": item.state, "claim": item.claim},
    )


def bubbles_of(connection: sqlite3.Connection, item_id: int) -> list[Bubble]:
    rows = connection.execute(
        f"SELECT {_BUBBLE} FROM bubbles WHERE item_id = :item_id ORDER BY part, again",
        {"item_id": item_id},
    ).fetchall()
    return [_bubble(row) for row in rows]


def bubble(connection: sqlite3.Connection, bubble_id: int) -> Bubble:
    row = connection.execute(
        f"SELECT {_BUBBLE} FROM bubbles WHERE id = :id", {"id": bubble_id}
    ).fetchone()
    return _bubble(row)


def arrived(connection: sqlite3.Connection, item_id: int, part: int) -> Bubble | None:
    """The bubble of a part that is in chat.db, be it one that was given up before."""
    found = [
        bubble
        for bubble in bubbles_of(connection, item_id)
        if bubble.part == part and bubble.state in (BubbleState.SEEN, BubbleState.SENT)
    ]
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Intent:
    """What is committed before osascript starts."""

    item_id: int
    part: int
    conversation: str
    fingerprint: str
    rowid_before: int
    identity: str
    again: bool
    pieces: tuple[str, ...] = ()
    """Fingerprints of the rows that Messages may make of it instead of one."""


def intend(connection: sqlite3.Connection, intent: Intent, *, now: float) -> int:
    """Write an intent, or renew one that never started; returns the bubble's id."""
    row = connection.execute(
        "INSERT INTO bubbles (item_id, part, conversation, fingerprint, state, at, rowid_before,"
        " identity, again) VALUES (:item_id, :part, :conversation, :fingerprint, 'intent', :at,"
        " :rowid_before, :identity, :again) ON CONFLICT (item_id, part, again) DO UPDATE SET"
        " state = 'intent', at = excluded.at, rowid_before = excluded.rowid_before,"
        " identity = excluded.identity, error = NULL RETURNING id",
        {
            "item_id": intent.item_id,
            "part": intent.part,
            "conversation": intent.conversation,
            "fingerprint": intent.fingerprint,
            "at": now,
            "rowid_before": intent.rowid_before,
            "identity": intent.identity,
            "again": int(intent.again),
        },
    ).fetchone()
    if intent.again:
        connection.execute(
            "UPDATE items SET maybe_duplicate = 1 WHERE id = :id", {"id": intent.item_id}
        )
    bubble_id: int = row[0]
    connection.executemany(
        "INSERT OR IGNORE INTO pieces (bubble_id, fingerprint) VALUES (:id, :fingerprint)",
        [{"id": bubble_id, "fingerprint": piece} for piece in intent.pieces],
    )
    return bubble_id


def move(
    connection: sqlite3.Connection,
    bubble_id: int,
    state: BubbleState,
    *,
    now: float,
    error: str | None = None,
) -> None:
    """Write a bubble's new state; `now` starts the verifier's waiting time where it applies."""
    starts = state in (BubbleState.HANDED, BubbleState.ORPHANED)
    connection.execute(
        "UPDATE bubbles SET state = :state, error = COALESCE(:error, error),"
        " verify_from = CASE WHEN :starts THEN :now ELSE verify_from END WHERE id = :id",
        {"id": bubble_id, "state": state, "error": error, "starts": int(starts), "now": now},
    )


def note_row(
    connection: sqlite3.Connection, bubble_id: int, *, guid: str, rowid: int, now: float
) -> None:
    """The bubble's row was found: from now on this guid is known as ours."""
    connection.execute(
        "UPDATE bubbles SET state = 'seen', guid = :guid, message_rowid = :rowid, seen_at = :now"
        " WHERE id = :id",
        {"id": bubble_id, "guid": guid, "rowid": rowid, "now": now},
    )
    note_guid(connection, bubble_id, guid)


def note_guid(connection: sqlite3.Connection, bubble_id: int, guid: str) -> None:
    """One more row that Messages made of a bubble: a reaction or a reply to it means the bubble."""
    connection.execute(
        "INSERT OR REPLACE INTO own_guids (guid, bubble_id) VALUES (:guid, :id)",
        {"guid": guid, "id": bubble_id},
    )


def orphan_intents(connection: sqlite3.Connection, *, now: float) -> int:
    """At start: whatever was under way may or may not have left."""
    cursor = connection.execute(
        "UPDATE bubbles SET state = 'orphaned', verify_from = :now WHERE state = 'intent'",
        {"now": now},
    )
    return cursor.rowcount


def watched(connection: sqlite3.Connection, *, late_since: float) -> list[Bubble]:
    """Bubbles whose row matters still, oldest first: those under way, and those settled since
    `late_since` whose row may yet appear or turn into an error, also one given up after a crash."""
    rows = connection.execute(
        f"SELECT {_BUBBLE} FROM bubbles WHERE state IN ('handed', 'orphaned', 'seen')"
        " OR (state IN ('sent', 'unknown', 'lost') AND at > :late_since) ORDER BY id",
        {"late_since": late_since},
    ).fetchall()
    return [_bubble(row) for row in rows]


def claimed_guids(connection: sqlite3.Connection, *, since: float) -> set[str]:
    """Guids that already prove some bubble of ours."""
    rows = connection.execute(
        "SELECT guid FROM bubbles WHERE at > :since AND guid IS NOT NULL", {"since": since}
    ).fetchall()
    return {row["guid"] for row in rows}


def has_unproven(connection: sqlite3.Connection) -> bool:
    """Whether a guid nobody knows may yet turn out to be ours."""
    row = connection.execute(
        "SELECT 1 FROM bubbles WHERE state IN ('intent', 'handed', 'orphaned') LIMIT 1"
    ).fetchone()
    return row is not None


def forget_before(connection: sqlite3.Connection, *, now: float) -> None:
    """Drop settled and reported replies older than any echo."""
    connection.execute(
        "DELETE FROM items WHERE state NOT IN ('open', 'proving') AND reported = 1"
        " AND at < :before",
        {"before": now - KEEP_S},
    )
