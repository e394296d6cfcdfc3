"""Costs: summing usage, the day's cap, and prices behind a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

import msgspec

from common.wire.tasks import Usage

Estimate = Callable[[Usage], float | None]
"""Our price for some usage, US dollars; None when the model is not known."""

REPEAT_KEEPS = 4
"""How often a raised cap may be raised again in a day before only the control centre may."""


@dataclass(frozen=True, slots=True)
class Totals:
    """One attempt's sums; `cost_usd` None when nobody knows."""

    cost_usd: float | None
    estimate_usd: float | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int

    @property
    def counted_usd(self) -> float:
        """What counts against a cap: the runner's figure, or else ours."""
        return self.cost_usd if self.cost_usd is not None else (self.estimate_usd or 0.0)


def with_estimates(usage: Iterable[Usage], estimate: Estimate) -> list[Usage]:
    return [msgspec.structs.replace(item, estimate_usd=estimate(item)) for item in usage]


def total(usage: list[Usage], cost_usd: float | None) -> Totals:
    """Sums over an attempt's models; the runner's own total wins over the sum of its parts."""
    parts = [item.cost_usd for item in usage if item.cost_usd is not None]
    estimates = [item.estimate_usd for item in usage if item.estimate_usd is not None]
    return Totals(
        cost_usd=cost_usd if cost_usd is not None else (sum(parts) if parts else None),
        estimate_usd=sum(estimates) if estimates else None,
        input_tokens=sum(item.input_tokens for item in usage),
        output_tokens=sum(item.output_tokens for item in usage),
        cache_read_tokens=sum(item.cache_read_tokens for item in usage),
        cache_write_tokens=sum(item.cache_write_tokens for item in usage),
    )


def day_of(now: float, zone: tzinfo | None) -> str:
    """The calendar day of a moment, `2026-11-24`; `zone` None is the machine's own."""
    return datetime.fromtimestamp(now, zone).astimezone(zone).date().isoformat()


def is_capped(spent_usd: float, cap_usd: float, lifted_usd: float) -> bool:
    """Whether nothing new may start. `lifted_usd` is what a yes added to today's cap."""
    return cap_usd > 0 and spent_usd >= cap_usd + lifted_usd
