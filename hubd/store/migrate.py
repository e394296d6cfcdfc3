"""Bringing a database to this version's schema; forward only, each step all or nothing."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources

from hubd.errors import DatabaseError

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


def migrations() -> list[tuple[int, str]]:
    """Number and script of every migration, in order."""
    found: list[tuple[int, str]] = []
    for entry in resources.files("hubd.store").joinpath("migrations").iterdir():
        match = _NAME.match(entry.name)
        if match:
            found.append((int(match.group(1)), entry.read_text(encoding="utf-8")))
    return sorted(found)


def user_version(conn: sqlite3.Connection) -> int:
    row = conn.execute("PRAGMA user_version").fetchall()[0]
    return int(row[0])


def migrate(conn: sqlite3.Connection) -> list[int]:
    """Run what is missing; returns the numbers run. Raises DatabaseError for a newer database."""
    steps = migrations()
    newest = steps[-1][0]
    version = user_version(conn)
    if version > newest:
        raise DatabaseError(
            f"the database has schema {version}, this hub knows {newest}: "
            "install the newer version again, or restore a backup made with this one"
        )
    run: list[int] = []
    for number, script in steps:
        if number <= version:
            continue
        try:
            # The script holds its own BEGIN and COMMIT: executescript commits what is open.
            conn.executescript(script)
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
        if user_version(conn) != number:
            raise DatabaseError(f"migration {number:04} did not set user_version to {number}")
        run.append(number)
    return run
