"""Attempts, their leases and what they used."""

from __future__ import annotations

import sqlite3

from hubd.domain.records import AttemptRecord
from hubd.store.rows import Mapper

ATTEMPTS = Mapper(
    "attempts",
    AttemptRecord,
    key="fence",
    fixed=("task_id", "number", "node", "leased_at", "account", "instance_id"),
    decode={"partial": bool},
)

RENEW = """
UPDATE attempts SET lease_until = :until
WHERE fence = :fence AND node = :node AND ended_at IS NULL AND lease_until IS NOT NULL
"""
RENEW_ALL = "UPDATE attempts SET lease_until = :until WHERE ended_at IS NULL"
OPEN = "WHERE ended_at IS NULL ORDER BY fence"


def insert(conn: sqlite3.Connection, attempt: AttemptRecord) -> None:
    conn.execute(ATTEMPTS.insert, ATTEMPTS.values(attempt))


def update(conn: sqlite3.Connection, attempt: AttemptRecord) -> None:
    conn.execute(ATTEMPTS.update, ATTEMPTS.values(attempt))


def find(conn: sqlite3.Connection, fence: int) -> AttemptRecord | None:
    return ATTEMPTS.find(conn, "WHERE fence = :fence", {"fence": fence})


def of_task(conn: sqlite3.Connection, task_id: int) -> list[AttemptRecord]:
    return ATTEMPTS.find_all(conn, "WHERE task_id = :id ORDER BY fence", {"id": task_id})


def open_attempts(conn: sqlite3.Connection) -> list[AttemptRecord]:
    """All that have not ended; as many as there are busy slots."""
    return ATTEMPTS.find_all(conn, OPEN, {})


def renew(conn: sqlite3.Connection, fence: int, node: str, until: float) -> None:
    conn.execute(RENEW, {"fence": fence, "node": node, "until": until})


def renew_all(conn: sqlite3.Connection, until: float) -> None:
    """After a jump of the clock: every lease runs anew from now."""
    conn.execute(RENEW_ALL, {"until": until})
