"""The epoch: the upper half of every fence and the first half of every event id.

It lives in the database and, with the marks the database had reached, in a file beside it. A
database that is older than its marks was restored; one without marks was copied from elsewhere.
Both get a new epoch, so no fence and no event id is ever given out twice.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import msgspec

from common.paths import write_private_file

logger = logging.getLogger(__name__)

META = "SELECT value FROM meta WHERE key = :key"
SET_META = """
INSERT INTO meta (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
LAST_EVENT = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"


class Marks(msgspec.Struct, frozen=True):
    """How far a database had come when it was last seen."""

    epoch: int
    fence_seq: int = 0
    event_seq: int = 0


def marks_path(path: Path) -> Path:
    return path.with_name(path.name + ".epoch")


def read_marks(path: Path) -> Marks | None:
    """None when the file is missing or unreadable as marks."""
    try:
        return msgspec.json.decode(marks_path(path).read_bytes(), type=Marks)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def write_marks(path: Path, marks: Marks) -> None:
    write_private_file(marks_path(path), msgspec.json.encode(marks).decode())


def _meta_int(conn: sqlite3.Connection, key: str) -> int:
    rows = conn.execute(META, {"key": key}).fetchall()
    return int(rows[0][0]) if rows else 0


def current_marks(conn: sqlite3.Connection) -> Marks:
    return Marks(
        epoch=_meta_int(conn, "epoch"),
        fence_seq=_meta_int(conn, "fence_seq"),
        event_seq=int(conn.execute(LAST_EVENT).fetchall()[0][0]),
    )


def save_marks(conn: sqlite3.Connection, path: Path) -> None:
    """Note how far the database has come.

    A full disk must not end what works without new marks: with older ones the database still
    goes on in its epoch.
    """
    try:
        write_marks(path, current_marks(conn))
    except OSError as error:
        logger.warning("marks not saved", extra={"error": str(error)})


def next_epoch(here: Marks, noted: Marks | None) -> int:
    """The epoch to go on with: a new one unless the database is at or past its marks."""
    if here.epoch == 0:
        return noted.epoch + 1 if noted else 1
    if noted is None:
        return here.epoch + 1
    continues = (
        here.epoch == noted.epoch
        and here.fence_seq >= noted.fence_seq
        and here.event_seq >= noted.event_seq
    )
    if here.epoch > noted.epoch or continues:
        return here.epoch
    return max(here.epoch, noted.epoch) + 1


def open_epoch(conn: sqlite3.Connection, path: Path, now: float) -> int:
    """Decide the epoch at start and note it on both sides."""
    here = current_marks(conn)
    epoch = next_epoch(here, read_marks(path))
    if epoch != here.epoch:
        # The file first: if this is interrupted, the next start sees an older database again.
        write_marks(path, Marks(epoch=epoch))
        conn.execute("BEGIN IMMEDIATE")
        conn.execute(SET_META, {"key": "epoch", "value": str(epoch)})
        conn.execute(SET_META, {"key": "epoch_at", "value": str(now)})
        conn.execute("COMMIT")
    save_marks(conn, path)
    return epoch
