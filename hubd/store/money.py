"""Costs: one row a fence, a running sum a day."""

from __future__ import annotations

import sqlite3
from typing import Any

from common.wire.admin import CostRow, Spend
from hubd.domain.money import Totals

INSERT = """
INSERT INTO costs (fence, task_id, node, specialist, conversation, at, day, cost_usd, estimate_usd,
                   input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
                   partial, fenced)
VALUES (:fence, :task_id, :node, :specialist, :conversation, :at, :day, :cost_usd, :estimate_usd,
        :input_tokens, :output_tokens, :cache_read_tokens, :cache_write_tokens, :partial, :fenced)
ON CONFLICT (fence) DO NOTHING
"""
ADD_TO_DAY = """
INSERT INTO days (day, cost_usd, lifted_usd, input_tokens, output_tokens, cache_read_tokens,
                  cache_write_tokens)
VALUES (:day, :counted_usd, 0, :input_tokens, :output_tokens, :cache_read_tokens,
        :cache_write_tokens)
ON CONFLICT (day) DO UPDATE SET
    cost_usd = cost_usd + excluded.cost_usd,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens
"""
LIFT = """
INSERT INTO days VALUES (:day, 0, :usd, 0, 0, 0, 0)
ON CONFLICT (day) DO UPDATE SET lifted_usd = lifted_usd + excluded.lifted_usd
"""
DAY = """
SELECT cost_usd, lifted_usd, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
FROM days WHERE day = :day
"""
SUMS = """
count(*), coalesce(sum(coalesce(c.cost_usd, 0)), 0), sum(c.estimate_usd),
sum(c.cost_usd IS NULL), coalesce(sum(c.input_tokens), 0), coalesce(sum(c.output_tokens), 0),
coalesce(sum(c.cache_read_tokens), 0), coalesce(sum(c.cache_write_tokens), 0)
"""
MODEL_SUMS = """
count(*), coalesce(sum(coalesce(u.cost_usd, 0)), 0), sum(u.estimate_usd),
sum(u.cost_usd IS NULL), coalesce(sum(u.input_tokens), 0), coalesce(sum(u.output_tokens), 0),
coalesce(sum(u.cache_read_tokens), 0), coalesce(sum(u.cache_write_tokens), 0)
"""
KEYS = {
    "task": "CAST(c.task_id AS TEXT)",
    "day": "c.day",
    "node": "c.node",
    "specialist": "coalesce(c.specialist, '')",
    "conversation": "coalesce(c.conversation, '')",
    "model": "u.model",
}
IN_PERIOD = "c.at >= :since AND c.at < :until"


def insert(conn: sqlite3.Connection, row: dict[str, Any]) -> bool:
    """One cost row for a fence; False when it has one (I7)."""
    return conn.execute(INSERT, row).rowcount == 1


def add_to_day(conn: sqlite3.Connection, day: str, totals: Totals) -> None:
    conn.execute(
        ADD_TO_DAY,
        {
            "day": day,
            "counted_usd": totals.counted_usd,
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
            "cache_read_tokens": totals.cache_read_tokens,
            "cache_write_tokens": totals.cache_write_tokens,
        },
    )


def lift(conn: sqlite3.Connection, day: str, usd: float) -> None:
    """Add to one day's cap."""
    conn.execute(LIFT, {"day": day, "usd": usd})


def day(conn: sqlite3.Connection, day_: str) -> tuple[Spend, float]:
    """What a day cost, without its cap, and by how much its cap was lifted."""
    rows = conn.execute(DAY, {"day": day_}).fetchall()
    if not rows:
        return Spend(day=day_), 0.0
    cost, lifted, tokens_in, tokens_out, cache_read, cache_write = rows[0]
    spend = Spend(
        day=day_,
        cost_usd=cost,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
    )
    return spend, lifted


def grouped(
    conn: sqlite3.Connection, by: str, since: float | None, until: float | None
) -> tuple[list[CostRow], CostRow]:
    """Rows by key, dearest first (days: newest first), and the total over all attempts."""
    params = {"since": since or 0.0, "until": until if until is not None else 1e18}
    key = KEYS[by]
    source = "costs c JOIN usage u ON u.fence = c.fence" if by == "model" else "costs c"
    sums = MODEL_SUMS if by == "model" else SUMS
    order = "1 DESC" if by == "day" else "3 DESC, 1"
    rows = conn.execute(
        f"SELECT {key}, {sums} FROM {source} WHERE {IN_PERIOD} GROUP BY {key} ORDER BY {order}",
        params,
    ).fetchall()
    total = conn.execute(f"SELECT 'total', {SUMS} FROM costs c WHERE {IN_PERIOD}", params)
    return [_row(row) for row in rows], _row(total.fetchall()[0])


def _row(row: tuple[Any, ...]) -> CostRow:
    return CostRow(
        key=row[0],
        attempts=row[1],
        cost_usd=row[2],
        estimate_usd=row[3],
        unknown_cost_attempts=row[4] or 0,
        input_tokens=row[5],
        output_tokens=row[6],
        cache_read_tokens=row[7],
        cache_write_tokens=row[8],
    )


def grouped_day(conn: sqlite3.Connection, by: str, day_: str) -> tuple[list[CostRow], CostRow]:
    """One calendar day's rows by key, dearest first, and their total."""
    key = KEYS[by]
    rows = conn.execute(
        f"SELECT {key}, {SUMS} FROM costs c WHERE c.day = :day GROUP BY {key} ORDER BY 3 DESC, 1",
        {"day": day_},
    ).fetchall()
    total = conn.execute(f"SELECT 'total', {SUMS} FROM costs c WHERE c.day = :day", {"day": day_})
    return [_row(row) for row in rows], _row(total.fetchall()[0])
