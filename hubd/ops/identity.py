"""Is the database sound, and still the one that was opened?

SQLite writes on into a deleted file without a word.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hubd.errors import DatabaseError

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 10.0


class DatabaseReplacedError(DatabaseError):
    """The file at the database's path is not the one this hub writes to: it must stop."""

    code = "database_replaced"


@dataclass(frozen=True, slots=True)
class Identity:
    """Device and inode of a file."""

    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Identity | None:
        try:
            info = path.stat()
        except FileNotFoundError:
            return None
        return cls(info.st_dev, info.st_ino)


def check_identity(path: Path, opened: Identity | None) -> None:
    """Raise DatabaseReplacedError when the file was moved, deleted or replaced."""
    now = Identity.of(path)
    if now is None:
        raise DatabaseReplacedError(
            f"{path} was moved or deleted while the hub ran. Put it back, or restore a backup: "
            "mesh-hubd restore FILE"
        )
    if now != opened:
        raise DatabaseReplacedError(
            f"{path} was replaced while the hub ran. Start the hub again to use the new file; "
            "to go back to a backup use mesh-hubd restore FILE, with the hub stopped"
        )


async def watch_identity(path: Path, opened: Identity | None) -> None:
    """Check every ten seconds; ends only by raising DatabaseReplacedError."""
    while True:
        check_identity(path, opened)
        await asyncio.sleep(CHECK_EVERY_S)


def refuse_missing(path: Path, marks: Path) -> None:
    """Raise DatabaseError when a hub ran here before and its database is gone.

    Starting with an empty one would look like a mesh that forgot everything.
    """
    if marks.exists() and not path.exists():
        raise DatabaseError(
            f"{path} is gone, though a hub ran here before. Restore a backup: mesh-hubd restore "
            f"FILE (they are in {path.parent / 'backups'}). To begin anew, remove {marks}"
        )


def check_soundness(path: Path) -> None:
    """Raise DatabaseError unless SQLite can read the file and finds it sound; before it is opened.

    About 150 ms for a million tasks.
    """
    if not path.exists():
        return
    backups = path.parent / "backups"
    remedy = f"Restore a backup: mesh-hubd restore FILE (they are in {backups})"
    try:
        with closing(sqlite3.connect(path)) as conn:
            rows = conn.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.DatabaseError as error:
        raise DatabaseError(f"{path} cannot be read as a database ({error}). {remedy}") from error
    if rows != [("ok",)]:
        raise DatabaseError(f"{path} is damaged ({rows[0][0]}). {remedy}")
