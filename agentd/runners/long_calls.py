"""Which calls of a run were long: providers price each call by its own length."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from common.wire.usage import COUNTS, LONG_CALLS, LongCalls, Usage


def long_calls_of(usage: Usage) -> list[LongCalls]:
    """`usage.calls` equally long calls as the bands of `LONG_CALLS`; nothing for short ones."""
    if usage.calls is None:
        return []
    whole = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    at = bisect_left(LONG_CALLS, whole / usage.calls)
    if at == 0:
        return []
    counts = {name: getattr(usage, name) for name in COUNTS}
    return [LongCalls(over=LONG_CALLS[at - 1], calls=usage.calls, **counts)]


def together(bands: Iterable[LongCalls]) -> list[LongCalls]:
    """One entry for each band."""
    sums: dict[int, LongCalls] = {}
    for band in bands:
        known = sums.get(band.over)
        if known is not None:
            counts = {name: getattr(known, name) + getattr(band, name) for name in COUNTS}
            band = LongCalls(over=band.over, calls=known.calls + band.calls, **counts)
        sums[band.over] = band
    return [sums[over] for over in sorted(sums)]


def added(total: Usage | None, more: Usage) -> Usage:
    """A sum over calls of one model with some more in it, one unless it says how many. Its cost is
    known while every part's is."""
    more = msgspec.structs.replace(more, calls=more.calls or 1)
    if total is None:
        return msgspec.structs.replace(more, long_calls=long_calls_of(more))
    known = total.cost_usd is not None and more.cost_usd is not None
    return Usage(
        model=total.model,
        **{name: getattr(total, name) + getattr(more, name) for name in COUNTS},
        cost_usd=(total.cost_usd or 0.0) + (more.cost_usd or 0.0) if known else None,
        calls=None if total.calls is None else total.calls + (more.calls or 1),
        long_calls=together([*total.long_calls, *long_calls_of(more)]),
    )
