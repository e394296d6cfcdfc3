"""Attempts, their leases and what they used."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from common.wire.tasks import Usage
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
USAGE_COLUMNS = """
model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
cache_write_1h_tokens, cost_usd, estimate_usd
"""
INSERT_USAGE = f"""
INSERT OR REPLACE INTO usage (fence, {USAGE_COLUMNS})
VALUES (:fence, :model, :input_tokens, :output_tokens, :cache_read_tokens, :cache_write_tokens,
        :cache_write_1h_tokens, :cost_usd, :estimate_usd)
"""
USAGE_OF_TASK = f"""
SELECT u.fence, {", ".join("u." + c.strip() for c in USAGE_COLUMNS.split(","))}
FROM usage u JOIN attempts a ON a.fence = u.fence
WHERE a.task_id = :task_id ORDER BY u.fence, u.model
"""


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


def insert_usage(conn: sqlite3.Connection, fence: int, usage: Iterable[Usage]) -> None:
    for item in usage:
        conn.execute(
            INSERT_USAGE,
            {
                "fence": fence,
                "model": item.model,
                "input_tokens": item.input_tokens,
                "output_tokens": item.output_tokens,
                "cache_read_tokens": item.cache_read_tokens,
                "cache_write_tokens": item.cache_write_tokens,
                "cache_write_1h_tokens": item.cache_write_1h_tokens,
                "cost_usd": item.cost_usd,
                "estimate_usd": item.estimate_usd,
            },
        )


def usage_of_task(conn: sqlite3.Connection, task_id: int) -> dict[int, list[Usage]]:
    """Usage by fence."""
    found: dict[int, list[Usage]] = {}
    for row in conn.execute(USAGE_OF_TASK, {"task_id": task_id}).fetchall():
        found.setdefault(row[0], []).append(
            Usage(
                model=row[1],
                input_tokens=row[2],
                output_tokens=row[3],
                cache_read_tokens=row[4],
                cache_write_tokens=row[5],
                cache_write_1h_tokens=row[6],
                cost_usd=row[7],
                estimate_usd=row[8],
            )
        )
    return found
