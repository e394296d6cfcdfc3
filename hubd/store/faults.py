"""What a failure of SQLite means to whoever asked, by its result code (sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3

from hubd.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseUnreachableError,
    HubError,
    StorageFullError,
)

BUSY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,  # lost a race for the lock of the write-ahead log
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Passing: nothing was changed, and the same call may work in a moment."""

UNREACHABLE = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOLFS,
    }
)
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


def translate(error: BaseException) -> BaseException:
    """The hub's own error for one of SQLite's, which becomes its cause; any other as it is.

    What remains (a constraint, a mistake in SQL) is a fault of the hub.
    """
    known = _known(error)
    if known is None:
        return error
    known.__cause__ = error
    return known


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another program holds the database; an error without a code is not."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in BUSY


def _known(error: BaseException) -> HubError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return None
    primary = code & 0xFF  # the low byte of an extended code
    if primary == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE:
        return StorageFullError("the hub's disk is full: free some space, then try again")
    if primary in BUSY:
        return DatabaseBusyError()
    if primary in UNREACHABLE:
        return DatabaseUnreachableError(str(error))
    return DatabaseDamagedError(str(error)) if primary in DAMAGED else None
