"""What model calls used, in tokens and dollars."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Tokens = Annotated[int, Meta(ge=0, le=10**12)]
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]
"""Bounds no run comes near, so that sums stay numbers."""

LONG_CALLS = (32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)
"""Above how much input, of all kinds, some provider asks another price for a call. A test holds
this list against the price list in use."""

COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)
"""The fields that are summed."""


class LongCalls(Struct, frozen=True, kw_only=True):
    """The sum of those calls whose whole input was above `over` tokens, and not above the next
    bound of `LONG_CALLS`."""

    over: Annotated[int, Meta(ge=0, le=10**12)]
    calls: Annotated[int, Meta(ge=1, le=10**9)] = 1
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cache_read_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    cache_write_1h_tokens: Tokens = 0


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one model in one attempt, summed over its calls.

    `input_tokens` are the uncached ones. `cache_write_tokens` are all tokens written to the cache;
    `cache_write_1h_tokens` says how many of them were written for an hour, and adds nothing to the
    sum. `cost_usd` is the runner's own figure, `estimate_usd` the hub's from list prices; null
    means that nobody knows, never zero.

    Providers price each call by its own length, so a sum alone says nothing about tiers: it is
    priced like short calls. `calls` is how many calls the sum is of, where that is known: without
    `long_calls` they count as equally long. `long_calls` are the part that was long.
    """

    model: str
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cache_read_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    cache_write_1h_tokens: Tokens = 0
    cost_usd: Dollars | None = None
    estimate_usd: Dollars | None = None
    calls: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    long_calls: Annotated[list[LongCalls], Meta(max_length=32)] = []
