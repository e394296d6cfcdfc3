"""Costs: summing usage, the day's cap, and prices behind a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

import msgspec

from common.wire.usage import COUNTS, Usage

Estimate = Callable[[Usage], float | None]
"""Our price for some usage, US dollars; None when the model is not known."""

LEAST_CAP_USD = 0.01


TELL_USD = 0.01
TELL_AFTER_S = 2.0
TELL_ANYHOW_S = 60.0
"""When the spend of a running attempt is shown again: soon after a cent more, else later."""


class Basis(StrEnum):
    """What a cost row rests on. Only a later basis replaces an earlier one."""

    RUNNING = "running"
    """What a running attempt reported so far."""
    SEEN = "seen"
    """The same, of an attempt that was given up."""
    RESULT = "result"
    """Its own account at its end."""


@dataclass(frozen=True, slots=True)
class Totals:
    """One attempt's sums.

    `counted_usd` is the figure that counts everywhere: the runner's own, or else our estimate, as
    far as either is known; `unknown` says that part of the cost, or all of it, is not in it.
    """

    counted_usd: float
    unknown: bool
    cost_usd: float | None
    estimate_usd: float | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int

    @property
    def tokens(self) -> int:
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
        )


@dataclass(frozen=True, slots=True)
class Share:
    """One model's part of an attempt; the shares' `counted_usd` sum up to the total's."""

    usage: Usage
    counted_usd: float
    unknown: bool


@dataclass(frozen=True, slots=True)
class Bill:
    shares: tuple[Share, ...]
    totals: Totals


def bill(usage: Iterable[Usage], cost_usd: float | None, estimate: Estimate) -> Bill:
    """What an attempt cost by model and in all. The one place where it is decided which figure
    counts: the runner's total before its parts, its figure for a part before our estimate."""
    items = [msgspec.structs.replace(item, estimate_usd=estimate(item)) for item in by_model(usage)]
    figures = [item.cost_usd if item.cost_usd is not None else item.estimate_usd for item in items]
    known = [figure or 0.0 for figure in figures]
    if cost_usd is not None:
        counted, lacking = _spread(cost_usd, known, items), [False] * len(items)
    else:
        counted, lacking = known, [figure is None for figure in figures]
    parts = [item.cost_usd for item in items if item.cost_usd is not None]
    estimates = [item.estimate_usd for item in items if item.estimate_usd is not None]
    totals = Totals(
        counted_usd=sum(counted) if cost_usd is None else cost_usd,
        unknown=cost_usd is None and (not items or any(lacking)),
        cost_usd=cost_usd if cost_usd is not None else (sum(parts) if parts else None),
        estimate_usd=sum(estimates) if estimates else None,
        input_tokens=sum(item.input_tokens for item in items),
        output_tokens=sum(item.output_tokens for item in items),
        cache_read_tokens=sum(item.cache_read_tokens for item in items),
        cache_write_tokens=sum(item.cache_write_tokens for item in items),
    )
    return Bill(tuple(map(Share, items, counted, lacking)), totals)


def by_model(usage: Iterable[Usage]) -> list[Usage]:
    """One entry for each model, with all cache writes in one count."""
    named: dict[str, Usage] = {}
    for item in usage:
        written = max(item.cache_write_tokens, item.cache_write_1h_tokens)
        item = msgspec.structs.replace(item, cache_write_tokens=written)
        known = named.get(item.model)
        named[item.model] = item if known is None else _both(known, item)
    return list(named.values())


def _both(one: Usage, other: Usage) -> Usage:
    costs = (one.cost_usd, other.cost_usd)
    return Usage(
        model=one.model,
        **{name: getattr(one, name) + getattr(other, name) for name in COUNTS},
        cost_usd=None if None in costs else sum(cost or 0.0 for cost in costs),
        calls=one.calls + other.calls if one.calls and other.calls else None,
        long_calls=[*one.long_calls, *other.long_calls],
    )


def _spread(total: float, known: list[float], items: list[Usage]) -> list[float]:
    """A total over its parts, by what is known of their cost or else by their tokens."""
    weights = known if sum(known) > 0 else [float(tokens_of(item)) for item in items]
    whole = sum(weights)
    if whole <= 0:
        return [total / len(items)] * len(items) if items else []
    return [total * weight / whole for weight in weights]


def tokens_of(item: Usage) -> int:
    return item.input_tokens + item.output_tokens + item.cache_read_tokens + item.cache_write_tokens


def fullest(seen: Iterable[Usage], said: Iterable[Usage]) -> list[Usage]:
    """Two incomplete accounts of one attempt: of each model the one that says more."""
    found = {item.model: item for item in by_model(seen)}
    for item in by_model(said):
        other = found.get(item.model)
        if other is None or tokens_of(item) >= tokens_of(other):
            found[item.model] = item
    return list(found.values())


def shown(counted_usd: float, unknown_attempts: int) -> float | None:
    """What is known of a sum; None when nothing is, which is not zero."""
    return None if unknown_attempts and counted_usd == 0 else counted_usd


def is_worth_telling(was: Totals | None, now_is: Totals, since_told_s: float) -> bool:
    """Whether the spend of a running attempt is shown again: not with every heartbeat."""
    if was is None:
        return True
    if since_told_s < TELL_AFTER_S:
        return False
    moved_usd = abs(now_is.counted_usd - was.counted_usd)
    if moved_usd >= TELL_USD or now_is.unknown != was.unknown:
        return True
    changed = moved_usd > 0 or now_is.tokens != was.tokens
    return changed and since_told_s >= TELL_ANYHOW_S


def is_over(spent_usd: float, cap_usd: float | None) -> bool:
    """Whether a task's attempts cost more than it may."""
    return cap_usd is not None and spent_usd > cap_usd


def left_usd(cap_usd: float | None, spent_usd: float) -> float | None:
    """What of a task's cap its next attempt may spend; never nothing, which would mean no cap."""
    return None if cap_usd is None else max(cap_usd - spent_usd, LEAST_CAP_USD)


def day_of(now: float, zone: tzinfo | None, *, back: int = 0) -> str:
    """The calendar day of a moment, `2026-11-24`, or one so many days `back`; `zone` None is the
    machine's own."""
    today = datetime.fromtimestamp(now, zone).astimezone(zone).date()
    return (today - timedelta(days=back)).isoformat()


def is_capped(spent_usd: float, cap_usd: float, lifted_usd: float) -> bool:
    """Whether nothing new may start. `lifted_usd` is what a yes added to today's cap."""
    return cap_usd > 0 and spent_usd >= cap_usd + lifted_usd
