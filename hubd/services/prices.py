"""List prices for what attempts used, from genai-prices; offline, for our own estimate."""

from __future__ import annotations

import logging

from common.wire.tasks import Usage

logger = logging.getLogger(__name__)


def estimate_usd(usage: Usage) -> float | None:
    """None for a model nobody has a price for."""
    # Imported at first use: it takes a sixth of a second that a start-up need not wait for.
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    cached = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    priced = Priced(
        input_tokens=usage.input_tokens + cached,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
    try:
        return float(calc_price(priced, model_ref=usage.model).total_price)
    except LookupError:
        return None
