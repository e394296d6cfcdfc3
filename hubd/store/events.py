"""The event log: reading it back, its bounds, and forgetting what is old."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from common.clock import to_datetime
from common.wire.events import NO_RECORD, Entity, Event

AFTER = """
SELECT seq, at, type, entity, key, record, detail FROM events
WHERE seq > :seq ORDER BY seq LIMIT :limit
"""
LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
FIRST = "SELECT min(seq) FROM events"
OLDER = "SELECT max(seq) FROM events WHERE seq <= :upto AND at < :at"
DELETE = "DELETE FROM events WHERE seq <= :seq"


def event_id(epoch: int, seq: int) -> str:
    return f"{epoch}-{seq}"


def parse_event_id(text: str) -> tuple[int, int] | None:
    """Epoch and seq, or None for something that is no event id."""
    epoch, dash, seq = text.partition("-")
    if not dash or not (epoch.isdecimal() and seq.isdecimal()) or len(text) > 40:
        return None
    return int(epoch), int(seq)


def after(conn: sqlite3.Connection, epoch: int, seq: int, limit: int) -> list[Event]:
    rows = conn.execute(AFTER, {"seq": seq, "limit": limit}).fetchall()
    return [_event(epoch, row) for row in rows]


def _event(epoch: int, row: tuple[Any, ...]) -> Event:
    seq, at, type_, entity, key, record, detail = row
    return Event(
        seq=seq,
        id=event_id(epoch, seq),
        at=to_datetime(at),
        type=type_,
        entity=Entity(entity),
        key=key,
        record=NO_RECORD if record is None else msgspec.Raw(record),
        detail=msgspec.json.decode(detail),
    )


def last_seq(conn: sqlite3.Connection) -> int:
    rows = conn.execute(LAST).fetchall()
    return int(rows[0][0]) if rows else 0


def first_seq(conn: sqlite3.Connection) -> int | None:
    """The oldest event still there."""
    seq: int | None = conn.execute(FIRST).fetchall()[0][0]
    return seq


def forget(conn: sqlite3.Connection, *, older_than: float, keep_rows: int, batch: int) -> int:
    """Delete up to `batch` of the oldest events that are too old or too many; how many."""
    first = first_seq(conn)
    if first is None:
        return 0
    upto = first + batch - 1
    too_many = last_seq(conn) - keep_rows
    old: int | None = conn.execute(OLDER, {"upto": upto, "at": older_than}).fetchall()[0][0]
    limit = min(max(old or 0, too_many), upto)
    if limit < first:
        return 0
    return conn.execute(DELETE, {"seq": limit}).rowcount
