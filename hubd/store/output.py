"""Live output of attempts, line by line, and files that came with a text."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from common.wire.nodes import OutputItem, OutputLine

NEXT_N = "SELECT coalesce(max(n) + 1, 0) FROM output WHERE fence = :fence"
INSERT = "INSERT OR IGNORE INTO output (fence, n, at, item) VALUES (:fence, :n, :at, :item)"
OF_TASK = """
SELECT o.fence, o.n, o.item FROM output o JOIN attempts a ON a.fence = o.fence
WHERE a.task_id = :task_id AND (o.fence > :fence OR (o.fence = :fence AND o.n > :n))
ORDER BY o.fence, o.n LIMIT :limit
"""
USED_TOOL = """
SELECT 1 FROM output WHERE fence = :fence AND instr(item, CAST('"kind":"tool_start"' AS BLOB)) > 0
LIMIT 1
"""
FORGET = """
DELETE FROM output WHERE at < :at AND fence IN
    (SELECT fence FROM attempts WHERE ended_at IS NOT NULL AND ended_at < :at)
"""

_decoder = msgspec.json.Decoder(OutputItem)


def next_n(conn: sqlite3.Connection, fence: int) -> int:
    return int(conn.execute(NEXT_N, {"fence": fence}).fetchall()[0][0])


def append(
    conn: sqlite3.Connection, fence: int, first: int, items: Sequence[OutputItem], at: float
) -> int:
    """Store a batch; lines that are there already stay. How many were new."""
    added = 0
    for offset, item in enumerate(items):
        added += conn.execute(
            INSERT,
            {"fence": fence, "n": first + offset, "at": at, "item": msgspec.json.encode(item)},
        ).rowcount
    return added


def used_tool(conn: sqlite3.Connection, fence: int) -> bool:
    """Whether an attempt did something, so that its session and folder are worth waiting for."""
    return bool(conn.execute(USED_TOOL, {"fence": fence}).fetchall())


def of_task(
    conn: sqlite3.Connection, task_id: int, after: tuple[int, int], limit: int
) -> list[OutputLine]:
    """Lines after (fence, n)."""
    rows = conn.execute(
        OF_TASK, {"task_id": task_id, "fence": after[0], "n": after[1], "limit": limit}
    ).fetchall()
    return [_line(fence, n, _decoder.decode(item)) for fence, n, item in rows]


def _line(fence: int, n: int, item: OutputItem) -> OutputLine:
    return OutputLine(
        fence=fence,
        n=n,
        kind=item.kind,
        text=item.text,
        tool=item.tool,
        tool_id=item.tool_id,
        is_error=item.is_error,
        at=item.at,
    )


def forget(conn: sqlite3.Connection, older_than: float) -> int:
    return conn.execute(FORGET, {"at": older_than}).rowcount
