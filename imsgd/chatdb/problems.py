"""Why chat.db cannot be used, told to somebody who has to mend it."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from common.wire.messages import BridgeProblem

FULL_DISK_ACCESS = "full_disk_access"
MISSING = "chat_db_missing"
NOT_A_DATABASE = "chat_db_invalid"
SCHEMA = "chat_db_schema"
EMPTY = "chat_db_empty"
READING = (FULL_DISK_ACCESS, MISSING, NOT_A_DATABASE, SCHEMA)
"""What a successful look at the database ends."""

# SQLITE_AUTH is what Apple's own library says when the privacy protection refuses, SQLITE_CANTOPEN
# and SQLITE_READONLY_DIRECTORY what every other build says for the same thing.
_REFUSED = (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_PRIMARY_MASK = 0xFF


def of_sqlite(error: sqlite3.Error, path: Path) -> BridgeProblem | None:
    """The problem behind an SQLite error; None if it is a passing one (busy, locked)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_MASK
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT):
        return None
    if code in (*_REFUSED, sqlite3.SQLITE_READONLY):
        return full_disk_access(path) if os.path.lexists(path) else missing(path)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return BridgeProblem(
            id=NOT_A_DATABASE,
            text=f"{path} is not a readable message database ({error}).",
            remedy="Quit and reopen Messages, and check bridge.chat_db.",
        )
    return BridgeProblem(
        id=NOT_A_DATABASE,
        text=f"{path} cannot be read ({error}).",
        remedy="Check bridge.chat_db; it must be the database of Messages.",
    )


def missing(path: Path) -> BridgeProblem:
    return BridgeProblem(
        id=MISSING,
        text=f"There is no message database at {path}.",
        remedy="Open Messages and sign in, or set bridge.chat_db.",
    )


def full_disk_access(path: Path) -> BridgeProblem:
    return BridgeProblem(
        id=FULL_DISK_ACCESS,
        text=f"macOS does not let this program read {path}.",
        remedy=(
            "Open System Settings, Privacy & Security, Full Disk Access, switch on "
            f"{responsible_program(os.environ)} and restart it."
        ),
    )


def foreign_schema(table: str, absent: list[str]) -> BridgeProblem:
    return BridgeProblem(
        id=SCHEMA,
        text=f"The message database lacks {table}: {', '.join(absent)}.",
        remedy="Check bridge.chat_db; if it is right, this macOS is newer than this program.",
    )


def empty(path: Path) -> BridgeProblem:
    return BridgeProblem(
        id=EMPTY,
        text=f"{path} holds no message.",
        remedy="Sign in to iMessage in Messages and send yourself a first text.",
    )


def responsible_program(env: Mapping[str, str]) -> str:
    """What has to be granted the access: the application this process was started from.

    macOS judges the head of the process chain: the terminal application, also for tmux started in
    it. A launchd job is its own head, so there it is the very interpreter.
    """
    try:
        for process in psutil.Process().parents():
            head, found, _ = process.exe().partition(".app/")
            if found:
                return f"{Path(head).name} ({head}.app)"
    except psutil.Error:
        pass
    terminal = env.get("TERM_PROGRAM")
    return terminal if terminal else os.path.realpath(sys.executable)
