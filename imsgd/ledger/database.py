"""The bridge's own small SQLite file, written through to the disk before anything is done."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TypeVar

from common.paths import make_private_dir, refuse_if_shared
from imsgd.errors import BridgeError
from imsgd.worker import OneThread

VERSION = 2

_SCHEMAS = ("schema.sql", "schema_2.sql")

T = TypeVar("T")


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the ledger; BridgeError if it is damaged or of a newer version."""
    make_private_dir(path.parent)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    refuse_if_shared(path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
    try:
        _prepare(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise BridgeError(
            f"{path} is damaged ({error}). Move it away and start again; texts of the last hour "
            "may then be heard twice by the bridge, but the hub takes each only once."
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # An intent that is not on the disk when osascript starts is no intent.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise BridgeError(
            f"{path} was written by a newer version of this program (ledger {version}, this one "
            f"knows {VERSION}). Update this program, or move the file away."
        )
    for number, name in enumerate(_SCHEMAS, start=1):
        if version < number:
            script = resources.files("imsgd.ledger").joinpath(name)
            connection.executescript(script.read_text(encoding="utf-8"))


class Ledger:
    """Runs functions of the connection, each in one transaction, on a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._thread = OneThread("ledger")

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Commit what `work` does, or nothing of it if it raises."""
        return await self._thread.run(lambda: in_transaction(self._connection, work))

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._thread.run(lambda: work(self._connection))

    async def close(self) -> None:
        await self._thread.run(self._connection.close)
        self._thread.close()


def in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result
