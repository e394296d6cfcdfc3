"""What usage costs by list price, from genai-prices: offline, and the only place that prices."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from common.wire.usage import COUNTS, LongCalls, Usage
from hubd.domain.models import places

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices


def estimate_usd(usage: Usage) -> float | None:
    """None for a model nobody has a price for. Each call is priced by its own length, as far as
    that is known; the rest like short calls."""
    price = _price(usage.model)
    if price is None:
        return None
    return sum((_part_usd(price, part, length) for part, length in _parts(usage)), 0.0)


def _price(model: str) -> ModelPrice | None:
    # Imported at first use: it takes a sixth of a second that a start-up need not wait for.
    from genai_prices import Usage as Nothing
    from genai_prices import calc_price

    for platform, name in places(model):
        try:
            return calc_price(Nothing(), model_ref=name, provider_id=platform).model_price
        except LookupError:
            continue
    return None


def _parts(usage: Usage) -> Iterator[tuple[LongCalls | Usage, float]]:
    """What is priced together, and how much input a call of it had."""
    if not usage.long_calls:
        yield usage, _input(usage) / usage.calls if usage.calls else 0.0
        return
    rest = {name: getattr(usage, name) for name in COUNTS}
    for band in usage.long_calls:
        for name in COUNTS:
            rest[name] -= getattr(band, name)
    if min(rest.values()) < 0:
        yield usage, 0.0  # the parts are more than the whole: they say nothing
        return
    yield from ((band, _input(band) / band.calls) for band in usage.long_calls)
    yield Usage(model=usage.model, **rest), 0.0


def _input(part: LongCalls | Usage) -> int:
    return part.input_tokens + part.cache_read_tokens + _written(part)


def _written(part: LongCalls | Usage) -> int:
    """All that went to the cache. The hour's part is in it; who left it out meant it so too."""
    return max(part.cache_write_tokens, part.cache_write_1h_tokens)


def _part_usd(price: ModelPrice, part: LongCalls | Usage, call_tokens: float) -> float:
    from genai_prices import Usage as Priced
    from genai_prices.types import ModelPrice, TieredPrices

    flat = ModelPrice(
        **{
            name: _tier(value, call_tokens) if isinstance(value, TieredPrices) else value
            for name, value in price.__dict__.items()
        }
    )
    used = Priced(
        input_tokens=_input(part),
        output_tokens=part.output_tokens,
        cache_read_tokens=part.cache_read_tokens,
        cache_write_tokens=_written(part),
        cache_write_1h_tokens=part.cache_write_1h_tokens,
    )
    return float(flat.calc_price(used)["total_price"])


def _tier(price: TieredPrices, call_tokens: float) -> Decimal:
    for tier in reversed(price.tiers):
        if call_tokens > tier.start:
            return tier.price
    return price.base
