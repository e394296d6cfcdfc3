"""Money: the day against its cap, the rate it is spent at, and sums by what caused them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from enum import StrEnum

from common.clock import to_datetime
from common.wire.admin import CostRow, Costs
from tui.state.cells import Cell, Column, Piece, Role, Row, cell
from tui.state.measures import NOTHING, count, duration, money, plural, spent
from tui.state.store import Store

COLUMNS = (
    Column("", 0),
    Column("cost", width=8, right=True),
    Column("share", width=10),
    Column("runs", width=5, right=True),
    Column("in", width=6, right=True, from_width=64),
    Column("out", width=6, right=True, from_width=58),
    Column("cache", width=6, right=True, from_width=72),
)
BAR = "▏▎▍▌▋▊▉█"
COLUMN = "▁▂▃▄▅▆▇█"
LEAST_RATE_S = 300.0
"""A rate from less than that says nothing."""


class Period(StrEnum):
    TODAY = "today"
    WEEK = "7 days"
    MONTH = "30 days"

    @property
    def days(self) -> int:
        return {"today": 1, "7 days": 7, "30 days": 30}[self.value]


class By(StrEnum):
    NODE = "node"
    SPECIALIST = "specialist"
    MODEL = "model"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars an hour over the last hour at most; None when too little is known."""

    usd_per_h: float | None

    @classmethod
    def of(cls, store: Store) -> Rate:
        if len(store.spent) < 2:
            return cls(None)
        (began, first), (ended, last) = store.spent[0], store.spent[-1]
        if ended - began < LEAST_RATE_S:
            return cls(None)
        return cls(3600.0 * (last - first) / (ended - began))


def summary(store: Store, now: float, zone: tzinfo | None) -> list[Cell]:
    """Today, cap, rate, where it leads."""
    spend, rate = store.folded.spend, Rate.of(store)
    cap, unknown, runs = spend.cap_usd, spend.unknown_cost_attempts, spend.running_usd
    lines: list[Cell] = [
        (
            Piece("today  ", Role.MUTED),
            Piece(spent(spend.cost_usd, unknown), Role.STRONG),
            Piece(f" of {money(cap)} cap" if cap else "  no cap is set", Role.MUTED),
            Piece(f" · {money(runs)} running" if runs else "", Role.MUTED),
            Piece(f" · {plural(unknown, 'run')} of unknown cost" if unknown else "", Role.WARN),
            Piece("  ! cap reached, nothing new starts" if spend.capped else "", Role.BAD),
        )
    ]
    if cap:
        lines.append(_cap_bar(spend.cost_usd / cap))
    tokens = (
        f"{count(spend.input_tokens)} in · {count(spend.output_tokens)} out · "
        f"cache {count(spend.cache_read_tokens)} read, {count(spend.cache_write_tokens)} written"
    )
    lines.append((Piece("tokens ", Role.MUTED), Piece(tokens)))
    lines.append(_rate_line(rate, spend.cost_usd, cap, now, zone))
    return lines


def _rate_line(
    rate: Rate, today_usd: float, cap: float | None, now: float, zone: tzinfo | None
) -> Cell:
    if rate.usd_per_h is None:
        return (Piece("rate   ", Role.MUTED), Piece("known after five minutes here", Role.MUTED))
    local = to_datetime(now).astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left_h = (midnight - local).total_seconds() / 3600
    by_midnight = today_usd + left_h * rate.usd_per_h
    pieces = [
        Piece("rate   ", Role.MUTED),
        Piece(f"{money(rate.usd_per_h)}/h", Role.STRONG),
        Piece(f" · {money(by_midnight)} by midnight at that rate", Role.MUTED),
    ]
    if cap and rate.usd_per_h > 0 and today_usd < cap:
        to_cap_h = (cap - today_usd) / rate.usd_per_h
        if to_cap_h < left_h:
            pieces.append(Piece(f" · cap in {duration(to_cap_h * 3600)}", Role.WARN))
    return tuple(pieces)


def _cap_bar(share: float, width: int = 40) -> Cell:
    full = min(width, round(min(share, 1.0) * width))
    role = Role.BAD if share >= 1 else Role.WARN if share >= 0.8 else Role.OK
    return (
        Piece(f"{'cap':<7}", Role.MUTED),
        Piece("█" * full, role),
        Piece("░" * (width - full), Role.FAINT),
        Piece(f" {share:.0%}", role),
    )


def bar(share: float, width: int = 10) -> str:
    """A bar of eighths, never empty for what is not nothing."""
    eighths = max(1 if share > 0 else 0, round(min(share, 1.0) * width * 8))
    return "█" * (eighths // 8) + (BAR[eighths % 8 - 1] if eighths % 8 else "")


def known(row: CostRow) -> float:
    """What is known of a row's cost, to compare and draw it."""
    return row.cost_usd or 0.0


def cost_row(row: CostRow, most: float, *, name: str) -> Row:
    """One line of a breakdown; the bar is the share of the largest."""
    cache = row.cache_read_tokens + row.cache_write_tokens
    return (
        cell(name or "none", Role.PLAIN if name else Role.MUTED),
        cell(spent(row.cost_usd, row.unknown_cost_attempts), Role.STRONG),
        (Piece(bar(known(row) / most if most else 0.0), Role.ACCENT),),
        cell(str(row.attempts), Role.MUTED),
        cell(count(row.input_tokens), Role.MUTED),
        cell(count(row.output_tokens), Role.MUTED),
        cell(count(cache), Role.MUTED),
    )


def name_of(store: Store, by: By, key: str) -> str:
    """How a row is called: tasks with their title."""
    if by is By.TASK and key.isdigit():
        task = store.folded.tasks.get(int(key))
        return f"#{key} {task.title if task else ''}".strip()
    return f"@{key}" if by is By.SPECIALIST and key else key


def day_series(costs: Costs, period: Period, today: str) -> list[CostRow]:
    """One row a day of the hub's calendar, oldest first, also for days on which nothing ran."""
    last = date.fromisoformat(today)
    known_days = {row.key: row for row in costs.rows}
    days = [(last - timedelta(days=back)).isoformat() for back in range(period.days)]
    return [known_days.get(day, CostRow(key=day)) for day in reversed(days)]


def day_chart(days: Sequence[CostRow], cap: float | None, width: int, height: int) -> list[Cell]:
    """Columns with their scale at the left and dates below; `height` lines without the dates."""
    if not days:
        return []
    top = max([known(row) for row in days] + [0.01])
    scale = len(money(top)) + 1
    step = max(1, min(9, (width - scale - 1) // len(days)))
    thick = max(1, step - 1)
    lines: list[Cell] = []
    for line in range(height, 0, -1):
        label = money(top) if line == height else money(top / 2) if line * 2 == height else ""
        pieces = [Piece(f"{label:>{scale}} ", Role.FAINT)]
        for row in days:
            text = _column(known(row) / top * height - (line - 1))
            over = cap is not None and known(row) >= cap
            pieces.append(Piece(text * thick, Role.BAD if over else Role.ACCENT))
            pieces.append(Piece(" " * (step - thick)))
        lines.append(tuple(pieces))
    lines.append(_dates(days, step, scale))
    return lines


def _column(rest: float) -> str:
    if rest >= 1:
        return "█"
    eighths = round(rest * 8)
    return COLUMN[eighths - 1] if eighths > 0 else " "


def _dates(days: Sequence[CostRow], step: int, scale: int) -> Cell:
    every = -(-7 // step)
    text = " " * (scale + 1)
    for number, row in enumerate(days):
        at = scale + 1 + number * step
        if number % every == 0 and at >= len(text):
            text = text.ljust(at) + row.key[5:]
    return (Piece(text, Role.FAINT),)


def total_line(costs: Costs | None) -> str:
    """`$8.42 in 31 runs`."""
    if costs is None:
        return NOTHING
    total = costs.total
    unknown = total.unknown_cost_attempts
    lacking = f", {plural(unknown, 'run')} of unknown cost" if unknown else ""
    return f"{spent(total.cost_usd, unknown)} in {plural(total.attempts, 'run')}{lacking}"
