"""Costs: one row a fence, a running sum a day."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from common.wire.admin import CostRow, Spend
from common.wire.usage import LongCalls, Usage
from hubd.domain import money
from hubd.domain.money import Basis, Bill, Share, Totals

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
COLUMNS = (
    "fence", "task_id", "node", "specialist", "conversation", "at", "day", "cost_usd",
    "estimate_usd", "counted_usd", "unknown", *TOKENS, "partial", "fenced", "basis",
)  # fmt: skip
PUT = f"""
INSERT INTO costs ({", ".join(COLUMNS)}) VALUES ({", ".join(":" + name for name in COLUMNS)})
ON CONFLICT (fence) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in COLUMNS[5:])}
"""
FIND = f"SELECT day, basis, counted_usd, unknown, {', '.join(TOKENS)} FROM costs WHERE fence = :f"
ADD_TO_DAY = f"""
INSERT INTO days (day, cost_usd, unknown, lifted_usd, {", ".join(TOKENS)})
VALUES (:day, :counted_usd, :unknown, 0, {", ".join(":" + name for name in TOKENS)})
ON CONFLICT (day) DO UPDATE SET
    cost_usd = cost_usd + excluded.cost_usd, unknown = unknown + excluded.unknown,
    {", ".join(f"{name} = {name} + excluded.{name}" for name in TOKENS)}
"""
LIFT = f"""
INSERT INTO days (day, cost_usd, unknown, lifted_usd, {", ".join(TOKENS)})
VALUES (:day, 0, 0, :usd, 0, 0, 0, 0)
ON CONFLICT (day) DO UPDATE SET lifted_usd = lifted_usd + excluded.lifted_usd
"""
DAY = f"SELECT cost_usd, unknown, lifted_usd, {', '.join(TOKENS)} FROM days WHERE day = :day"
RUNNING_USD = """
SELECT coalesce(sum(counted_usd), 0) FROM costs WHERE basis = 'running' AND day = :day
"""
OF_TASK = f"""
SELECT coalesce(sum(counted_usd), 0), coalesce(sum(unknown), 0),
       {", ".join(f"coalesce(sum({name}), 0)" for name in TOKENS)}
FROM costs WHERE task_id = :task_id
"""
OF_ATTEMPTS = """
SELECT fence, counted_usd, unknown, partial FROM costs WHERE task_id = :task_id
"""
SUMS = f"""
count(*), sum(c.counted_usd), sum(c.estimate_usd), sum(c.unknown), sum(c.basis = 'running'),
{", ".join(f"sum(c.{name})" for name in TOKENS)}
"""
# An attempt that named no model is nobody's part, but part of the sum.
MODEL_SUMS = f"""
count(*), sum(coalesce(u.counted_usd, c.counted_usd)), sum(u.estimate_usd),
sum(coalesce(u.unknown, c.unknown)), sum(c.basis = 'running'),
{", ".join(f"sum(coalesce(u.{name}, c.{name}))" for name in TOKENS)}
"""
KEYS = {
    "task": "CAST(c.task_id AS TEXT)",
    "day": "c.day",
    "node": "c.node",
    "specialist": "coalesce(c.specialist, '')",
    "conversation": "coalesce(c.conversation, '')",
    "model": "coalesce(u.model, 'unknown')",
}
USAGE_COLUMNS = (
    "model", *TOKENS, "cache_write_1h_tokens", "cost_usd", "estimate_usd", "calls", "long_calls",
    "counted_usd", "unknown",
)  # fmt: skip
INSERT_USAGE = f"""
INSERT INTO usage (fence, {", ".join(USAGE_COLUMNS)})
VALUES (:fence, {", ".join(":" + name for name in USAGE_COLUMNS)})
"""
USAGE_OF_TASK = f"""
SELECT u.fence, {", ".join("u." + name for name in USAGE_COLUMNS[:10])}
FROM usage u JOIN attempts a ON a.fence = u.fence
WHERE a.task_id = :task_id ORDER BY u.fence, u.model
"""
KEEP_REPORT = """
INSERT INTO running_usage VALUES (:fence, :usage, :told_at)
ON CONFLICT (fence) DO UPDATE SET usage = excluded.usage, told_at = excluded.told_at
"""


@dataclass(frozen=True, slots=True)
class Booked:
    """What stands in the books for a fence."""

    day: str
    basis: Basis
    totals: Totals


@dataclass(frozen=True, slots=True)
class Period:
    """Whose attempts are summed: last heard of, or ended, in [since, until), and on one of the
    days from `first_day` to `last_day`, the hub's calendar."""

    since: float = 0.0
    until: float = 1e18
    first_day: str = ""
    last_day: str = "~"


IN_PERIOD = "c.at >= :since AND c.at < :until AND c.day BETWEEN :first_day AND :last_day"


def booked(conn: sqlite3.Connection, fence: int) -> Booked | None:
    rows = conn.execute(FIND, {"f": fence}).fetchall()
    if not rows:
        return None
    day_, basis, counted, unknown, *tokens = rows[0]
    totals = Totals(counted, bool(unknown), None, None, *tokens)
    return Booked(day_, Basis(basis), totals)


def put(conn: sqlite3.Connection, row: dict[str, Any], bill: Bill) -> None:
    """The one cost row of a fence (I7), its parts by model, and its day's sum, which a row moves
    to with its last change."""
    was = booked(conn, row["fence"])
    if was is not None:
        _add_to_day(conn, was.day, was.totals, -1)
    totals = {name: getattr(bill.totals, name) for name in (*TOKENS, *COLUMNS[7:11])}
    conn.execute(PUT, row | totals)
    _add_to_day(conn, row["day"], bill.totals, 1)
    conn.execute("DELETE FROM usage WHERE fence = :fence", {"fence": row["fence"]})
    for share in bill.shares:
        conn.execute(INSERT_USAGE, _share(row["fence"], share))


def _share(fence: int, share: Share) -> dict[str, Any]:
    fields = msgspec.structs.asdict(share.usage) | {
        "fence": fence,
        "counted_usd": share.counted_usd,
        "unknown": share.unknown,
    }
    return fields | {"long_calls": msgspec.json.encode(share.usage.long_calls).decode()}


def _add_to_day(conn: sqlite3.Connection, day_: str, totals: Totals, sign: int) -> None:
    tokens = {name: sign * getattr(totals, name) for name in TOKENS}
    sums = {"counted_usd": sign * totals.counted_usd, "unknown": sign * totals.unknown}
    conn.execute(ADD_TO_DAY, {"day": day_} | sums | tokens)


def lift(conn: sqlite3.Connection, day: str, usd: float) -> None:
    """Add to one day's cap."""
    conn.execute(LIFT, {"day": day, "usd": usd})


def day(conn: sqlite3.Connection, day_: str) -> tuple[Spend, float]:
    """What a day cost, without its cap, and by how much its cap was lifted."""
    rows = conn.execute(DAY, {"day": day_}).fetchall()
    if not rows:
        return Spend(day=day_), 0.0
    cost, unknown, lifted, *tokens = rows[0]
    spend = Spend(
        day=day_,
        # What was booked and moved away leaves a rest far below a cent.
        cost_usd=max(round(cost, 9), 0.0),
        running_usd=conn.execute(RUNNING_USD, {"day": day_}).fetchall()[0][0],
        unknown_cost_attempts=unknown,
        **dict(zip(TOKENS, tokens, strict=True)),
    )
    return spend, lifted


def of_task(conn: sqlite3.Connection, task_id: int) -> dict[str, Any]:
    """A task's sums, as its record keeps them."""
    cost, unknown, *tokens = conn.execute(OF_TASK, {"task_id": task_id}).fetchall()[0]
    return {"cost_usd": cost, "unknown_costs": unknown} | dict(zip(TOKENS, tokens, strict=True))


def of_attempts(conn: sqlite3.Connection, task_id: int) -> dict[int, tuple[float | None, bool]]:
    """What each attempt cost, None where nobody knows, and whether it is only what was seen."""
    rows = conn.execute(OF_ATTEMPTS, {"task_id": task_id}).fetchall()
    return {
        fence: (money.shown(usd, unknown), bool(partial)) for fence, usd, unknown, partial in rows
    }


def grouped(conn: sqlite3.Connection, by: str, period: Period) -> tuple[list[CostRow], CostRow]:
    """Rows by key, dearest first (days: newest first), and the total over all attempts."""
    params = {name: getattr(period, name) for name in Period.__slots__}
    key = KEYS[by]
    source = "costs c LEFT JOIN usage u ON u.fence = c.fence" if by == "model" else "costs c"
    sums = MODEL_SUMS if by == "model" else SUMS
    order = "1 DESC" if by == "day" else "3 DESC, 1"
    rows = conn.execute(
        f"SELECT {key}, {sums} FROM {source} WHERE {IN_PERIOD} GROUP BY {key} ORDER BY {order}",
        params,
    ).fetchall()
    total = conn.execute(f"SELECT 'total', {SUMS} FROM costs c WHERE {IN_PERIOD}", params)
    return [_row(row) for row in rows], _row(total.fetchall()[0])


def _row(row: tuple[Any, ...]) -> CostRow:
    key, attempts, counted, estimate, unknown, running, *tokens = row
    return CostRow(
        key=key,
        attempts=attempts,
        cost_usd=money.shown(counted or 0.0, unknown or 0),
        estimate_usd=estimate,
        unknown_cost_attempts=unknown or 0,
        running_attempts=running or 0,
        **{name: count or 0 for name, count in zip(TOKENS, tokens, strict=True)},
    )


def usage_of_task(conn: sqlite3.Connection, task_id: int) -> dict[int, list[Usage]]:
    """Usage by fence."""
    found: dict[int, list[Usage]] = {}
    for fence, *values in conn.execute(USAGE_OF_TASK, {"task_id": task_id}).fetchall():
        fields = dict(zip(USAGE_COLUMNS, values, strict=False))
        calls = msgspec.json.decode(fields.pop("long_calls"), type=list[LongCalls])
        found.setdefault(fence, []).append(Usage(**fields, long_calls=calls))
    return found


def keep_report(
    conn: sqlite3.Connection, fence: int, usage: Sequence[Usage], told_at: float
) -> None:
    """A running attempt's last word on what it used."""
    text = msgspec.json.encode(usage).decode()
    conn.execute(KEEP_REPORT, {"fence": fence, "usage": text, "told_at": told_at})


def report(conn: sqlite3.Connection, fence: int) -> tuple[list[Usage], float] | None:
    """That last word, and when clients were told of one."""
    query = "SELECT usage, told_at FROM running_usage WHERE fence = :fence"
    rows = conn.execute(query, {"fence": fence}).fetchall()
    if not rows:
        return None
    return msgspec.json.decode(rows[0][0], type=list[Usage]), rows[0][1]


def drop_report(conn: sqlite3.Connection, fence: int) -> None:
    conn.execute("DELETE FROM running_usage WHERE fence = :fence", {"fence": fence})
