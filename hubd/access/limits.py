"""Limits: sizes of what comes in, and how much one token may have under way."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from common.clock import Clock
from hubd.access.errors import RateLimitedError

MAX_JSON_BYTES = 1_048_576
MAX_FILE_BYTES = 20_000_000
MAX_HEADER_BYTES = 16_384
MAX_URL_BYTES = 4_096
MAX_KEY_CHARS = 200
BODY_TIMEOUT_S = 10
FILE_TIMEOUT_S = 120
"""A photo over a hotel's network."""

REQUESTS_PER_S = 2_000.0
"""Far above what a mesh needs; it bounds a program that runs wild, not one that works hard."""
BURST = 4_000.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A bucket per caller that refills with time."""

    def __init__(
        self, clock: Clock, *, per_s: float = REQUESTS_PER_S, burst: float = BURST
    ) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str) -> None:
        """Raise RateLimitedError when `caller` has spent its share."""
        now = self._clock.monotonic()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(self._burst, now)
            if len(self._buckets) > 10_000:
                self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.tokens < 1.0:
            wait_s = (1.0 - bucket.tokens) / self._per_s
            raise RateLimitedError(
                f"more than {self._per_s:.0f} requests a second with one token: slow down",
                retry_after_s=wait_s,
            )
        bucket.tokens -= 1.0
