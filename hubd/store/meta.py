"""Single values: fence counter, hold, the bridge's last report."""

from __future__ import annotations

import sqlite3

from hubd.domain.fences import make_fence

NEXT_FENCE_SEQ = """
UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'fence_seq' RETURNING value
"""
GET = "SELECT value FROM meta WHERE key = :key"
SET = """
INSERT INTO meta (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""


def next_fence(conn: sqlite3.Connection, epoch: int) -> int:
    """A fence that was never given out before, in this transaction."""
    rows = conn.execute(NEXT_FENCE_SEQ).fetchall()
    return make_fence(epoch, int(rows[0][0]))


def get(conn: sqlite3.Connection, key: str) -> str | None:
    rows = conn.execute(GET, {"key": key}).fetchall()
    return rows[0][0] if rows else None


def put(conn: sqlite3.Connection, key: str, value: str) -> None:
    conn.execute(SET, {"key": key, "value": value})
