"""The incoming side of the ledger: the place in chat.db and the fate of each admitted row."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from imsgd.domain.admission import Admit
from imsgd.domain.handles import SELF
from imsgd.domain.history import (
    ECHO_ANY_COPY_S,
    ECHO_EARLY_S,
    ECHO_LATE_COPY_S,
    FAR_PAIR_S,
    OwnSend,
    PastInput,
    Repeat,
    is_replay,
    matching_echo,
    other_half,
)
from imsgd.domain.rows import to_apple_ns
from imsgd.domain.words import fingerprint

INPUT = "input"
KEEP_S = 7 * 24 * 3600.0
"""Longer than anything is looked back for."""


@dataclass(frozen=True, slots=True)
class Place:
    identity: str
    rowid: int
    born_at: float
    listened_at: float


def place(connection: sqlite3.Connection) -> Place | None:
    """None before the very first start."""
    row = connection.execute(
        "SELECT identity, rowid, born_at, listened_at FROM place WHERE id = 1"
    ).fetchone()
    return None if row is None else Place(*row)


def save_place(connection: sqlite3.Connection, now: Place) -> None:
    connection.execute(
        "INSERT INTO place (id, identity, rowid, born_at, listened_at)"
        " VALUES (1, :identity, :rowid, :born_at, :listened_at)"
        " ON CONFLICT (id) DO UPDATE SET identity = excluded.identity, rowid = excluded.rowid,"
        " listened_at = excluded.listened_at",
        {
            "identity": now.identity,
            "rowid": now.rowid,
            "born_at": now.born_at,
            "listened_at": now.listened_at,
        },
    )


def fate(connection: sqlite3.Connection, guid: str) -> tuple[str, bool] | None:
    """The recorded verdict on a guid and whether it is settled."""
    row = connection.execute(
        "SELECT verdict, settled FROM heard WHERE guid = :guid", {"guid": guid}
    ).fetchone()
    return None if row is None else (row["verdict"], bool(row["settled"]))


def unsettled_guids(connection: sqlite3.Connection) -> list[str]:
    """Inputs the hub has not acknowledged, oldest first."""
    rows = connection.execute("SELECT guid FROM heard WHERE settled = 0 ORDER BY message_rowid")
    return [row["guid"] for row in rows.fetchall()]


def record(
    connection: sqlite3.Connection, admitted: Admit, verdict: str, *, now: float, key: str
) -> None:
    """Remember a row; an input stays unsettled until the hub has it."""
    connection.execute(
        "INSERT OR IGNORE INTO heard (guid, message_rowid, conversation, fingerprint, date,"
        " from_me, verdict, settled, at) VALUES (:guid, :rowid, :conversation, :fingerprint, :date,"
        " :from_me, :verdict, :settled, :at)",
        {
            "guid": admitted.row.guid,
            "rowid": admitted.row.rowid,
            "conversation": admitted.conversation,
            "fingerprint": key,
            "date": admitted.row.date,
            "from_me": int(admitted.row.from_me),
            "verdict": verdict,
            "settled": int(verdict != INPUT),
            "at": now,
        },
    )


@dataclass(frozen=True, slots=True)
class Delivered:
    """An input that the hub has, and the files it went without."""

    guid: str
    rowid: int
    fingerprint: str
    awaits: list[int]


def delivered_since(connection: sqlite3.Connection, *, since: float) -> list[Delivered]:
    rows = connection.execute(
        "SELECT h.guid, h.message_rowid, h.fingerprint,"
        " (SELECT group_concat(a.attachment) FROM awaited a WHERE a.guid = h.guid) AS awaits"
        " FROM heard h WHERE h.at > :since AND h.verdict = 'input' AND h.settled = 1",
        {"since": since},
    ).fetchall()
    return [
        Delivered(
            row["guid"],
            row["message_rowid"],
            row["fingerprint"],
            [int(number) for number in (row["awaits"] or "").split(",") if number],
        )
        for row in rows
    ]


def await_files(
    connection: sqlite3.Connection, guid: str, attachments: list[int], *, now: float
) -> None:
    """Remember what an input went without, should it still come; 0 is a file without a row."""
    connection.executemany(
        "INSERT OR IGNORE INTO awaited (guid, attachment, at) VALUES (:guid, :attachment, :at)",
        [{"guid": guid, "attachment": number, "at": now} for number in attachments],
    )


def note_change(
    connection: sqlite3.Connection, guid: str, change: str, key: str, *, now: float
) -> bool:
    """Remember what became of an input; False if it is known."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO changes (guid, change, key, at) VALUES (:guid, :change, :key, :at)",
        {"guid": guid, "change": change, "key": key, "at": now},
    )
    return cursor.rowcount == 1


def unsettled_changes(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    rows = connection.execute("SELECT guid, change, key FROM changes WHERE settled = 0 ORDER BY at")
    return [(row["guid"], row["change"], row["key"]) for row in rows.fetchall()]


def settle_change(connection: sqlite3.Connection, guid: str, change: str, key: str) -> None:
    connection.execute(
        "UPDATE changes SET settled = 1 WHERE guid = :guid AND change = :change AND key = :key",
        {"guid": guid, "change": change, "key": key},
    )


def reword(connection: sqlite3.Connection, guid: str, key: str) -> None:
    """An input was edited before the hub had it: what it says now is no change any more."""
    connection.execute(
        "UPDATE heard SET fingerprint = :key WHERE guid = :guid", {"guid": guid, "key": key}
    )


def settle(connection: sqlite3.Connection, guid: str, *, verdict: str = INPUT) -> None:
    connection.execute(
        "UPDATE heard SET settled = 1, verdict = :verdict WHERE guid = :guid",
        {"guid": guid, "verdict": verdict},
    )


def forget_before(connection: sqlite3.Connection, *, now: float) -> None:
    connection.execute(
        "DELETE FROM heard WHERE settled = 1 AND at < :before", {"before": now - KEEP_S}
    )
    for table in ("changes", "awaited"):
        connection.execute(f"DELETE FROM {table} WHERE at < :before", {"before": now - KEEP_S})


def key_of(admitted: Admit) -> str:
    """What makes two rows copies of one another: the words, or the reaction and its target."""
    if admitted.tapback is not None:
        return fingerprint(f"{admitted.tapback} {admitted.reply_to}")
    return fingerprint(admitted.text)


def repeat_of(connection: sqlite3.Connection, admitted: Admit, key: str) -> Repeat | None:
    """Whether the row is an echo, a second copy or a replay, by what is recorded."""
    row = admitted.row
    if _is_own_guid(connection, row.guid) or _mirrors_own(connection, row.reply_to_guid, key):
        return Repeat.ECHO
    if admitted.tapback is None and _take_echo(connection, admitted, key):
        return Repeat.ECHO
    inputs = _alike(connection, admitted, key, INPUT)
    copies = _alike(connection, admitted, key, Repeat.PAIR)
    if is_replay([*inputs, *copies], guid=row.guid, date=row.date, from_me=row.from_me):
        return Repeat.REPLAY
    if admitted.conversation != SELF:
        return None
    half = other_half(inputs, date=row.date, from_me=row.from_me)
    if half is None:
        return None
    connection.execute("UPDATE heard SET paired = 1 WHERE guid = :guid", {"guid": half.guid})
    return Repeat.PAIR


def _is_own_guid(connection: sqlite3.Connection, guid: str | None) -> bool:
    query = "SELECT 1 FROM own_guids WHERE guid = :guid"
    return guid is not None and connection.execute(query, {"guid": guid}).fetchone() is not None


def _mirrors_own(connection: sqlite3.Connection, before: str | None, key: str) -> bool:
    """Whether a row is the second copy of the own bubble it names, and not just what somebody
    wrote after it: Messages puts the message before into `reply_to_guid`, whatever it is."""
    query = (
        "SELECT 1 FROM own_guids o JOIN bubbles b ON b.id = o.bubble_id"
        " WHERE o.guid = :guid AND b.fingerprint = :key"
    )
    found = connection.execute(query, {"guid": before, "key": key}).fetchone()
    return before is not None and found is not None


def _take_echo(connection: sqlite3.Connection, admitted: Admit, key: str) -> bool:
    at = admitted.row.at
    rows = connection.execute(
        "SELECT id, at, uses_from_me, uses_to_me FROM bubbles"
        " WHERE conversation = :conversation AND fingerprint = :key AND at > :since"
        " AND state <> 'not_started' ORDER BY at",
        {"conversation": admitted.conversation, "key": key, "since": at - ECHO_LATE_COPY_S},
    ).fetchall()
    echo = matching_echo((OwnSend(*row) for row in rows), at=at, from_me=admitted.row.from_me)
    if echo is None:
        return _take_piece(connection, admitted, key)
    column = "uses_from_me" if admitted.row.from_me else "uses_to_me"
    connection.execute(
        f"UPDATE bubbles SET {column} = {column} + 1 WHERE id = :id", {"id": echo.id}
    )
    _note_own(connection, admitted.row.guid, echo.id)
    return True


def _note_own(connection: sqlite3.Connection, guid: str, bubble_id: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO own_guids (guid, bubble_id) VALUES (:guid, :id)",
        {"guid": guid, "id": bubble_id},
    )


def _take_piece(connection: sqlite3.Connection, admitted: Admit, key: str) -> bool:
    """Whether a row is the words or the link of an own bubble that Messages stored apart.

    A bubble that is there whole was not split, but for its link's preview; then the same words
    are somebody's own. Each piece is believed once in each direction.
    """
    column = "uses_from_me" if admitted.row.from_me else "uses_to_me"
    found = connection.execute(
        f"SELECT b.id FROM pieces p JOIN bubbles b ON b.id = p.bubble_id"
        f" WHERE p.fingerprint = :key AND p.{column} = 0 AND b.conversation = :conversation"
        " AND b.at BETWEEN :low AND :high AND b.state <> 'not_started'"
        " AND (:preview OR NOT EXISTS (SELECT 1 FROM heard h JOIN own_guids o ON o.guid = h.guid"
        " WHERE o.bubble_id = b.id AND h.fingerprint = b.fingerprint AND h.from_me = :from_me))"
        " ORDER BY b.at LIMIT 1",
        {
            "key": key,
            "conversation": admitted.conversation,
            "low": admitted.row.at - ECHO_ANY_COPY_S,
            "high": admitted.row.at + ECHO_EARLY_S,
            "preview": int(admitted.preview),
            "from_me": int(admitted.row.from_me),
        },
    ).fetchone()
    if found is None:
        return False
    connection.execute(
        f"UPDATE pieces SET {column} = {column} + 1 WHERE bubble_id = :id AND fingerprint = :key",
        {"id": found["id"], "key": key},
    )
    _note_own(connection, admitted.row.guid, found["id"])
    return True


def _alike(
    connection: sqlite3.Connection, admitted: Admit, key: str, verdict: str
) -> list[PastInput]:
    """Rows of equal words around the same time that got `verdict`."""
    margin = to_apple_ns(FAR_PAIR_S) - to_apple_ns(0)
    rows = connection.execute(
        "SELECT guid, date, from_me, paired, NOT EXISTS (SELECT 1 FROM heard other WHERE"
        " other.conversation = heard.conversation AND other.verdict = 'input'"
        " AND other.message_rowid > MIN(heard.message_rowid, :rowid)"
        " AND other.message_rowid < MAX(heard.message_rowid, :rowid)) AS is_next"
        " FROM heard WHERE conversation = :conversation"
        " AND fingerprint = :key AND date BETWEEN :low AND :high AND verdict = :verdict"
        " ORDER BY date",
        {
            "conversation": admitted.conversation,
            "key": key,
            "low": admitted.row.date - margin,
            "high": admitted.row.date + margin,
            "verdict": verdict,
            "rowid": admitted.row.rowid,
        },
    ).fetchall()
    return [
        PastInput(r["guid"], r["date"], bool(r["from_me"]), bool(r["paired"]), bool(r["is_next"]))
        for r in rows
    ]


def primary_guid(connection: sqlite3.Connection, guid: str) -> str | None:
    """The guid under which the hub knows one of our bubbles, by any of its guids."""
    row = connection.execute(
        "SELECT b.guid FROM own_guids o JOIN bubbles b ON b.id = o.bubble_id WHERE o.guid = :guid",
        {"guid": guid},
    ).fetchone()
    return None if row is None else (row["guid"] or guid)


def note_panic(connection: sqlite3.Connection, guid: str, *, now: float) -> bool:
    """Remember a `stop all` the hub has not got; False if it was noted (and answered) before."""
    cursor = connection.execute(
        "INSERT OR IGNORE INTO panics (guid, at) VALUES (:guid, :at)", {"guid": guid, "at": now}
    )
    return cursor.rowcount == 1
