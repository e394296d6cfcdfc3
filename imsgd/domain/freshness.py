"""How old a text may be and still be acted on.

iCloud replays old messages under new guids; a Mac that slept delivers real ones late. The two are
told apart by measuring age from the last moment the bridge was listening, not from now.
"""

from __future__ import annotations

from dataclasses import dataclass

CATCH_UP_S = 24 * 3600.0
"""After a longer absence older texts are not acted on by surprise."""
BIRTH_SLACK_S = 60.0
"""A text may be dated by another clock, or have been on its way, at the very first start."""
GAP_S = 60.0
"""No poll for so long means that the machine slept or the bridge was down."""
SETTLE_S = 900.0
"""So long after a gap, messages from the gap may still be arriving."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """When the bridge listened last, and the gap it may still be catching up on.

    Moments are epoch seconds of the Mac that also dates the rows. `late_s` separates late
    deliveries from replays, of which the youngest ever measured was 82 minutes old.
    """

    born_at: float
    """The bridge's very first start: nothing older is acted on."""
    listened_at: float
    late_s: float
    gap_from: float | None = None
    gap_until: float = 0.0

    def after_poll(self, now: float) -> Freshness:
        """Take in a successful poll at `now`."""
        gap_from, gap_until = self.gap_from, self.gap_until
        if now - self.listened_at > GAP_S:
            still_open = gap_from is not None and now < gap_until
            gap_from = gap_from if still_open else self.listened_at
            gap_until = now + SETTLE_S
        elif gap_from is not None and now >= gap_until:
            gap_from = None
        return Freshness(self.born_at, now, self.late_s, gap_from, gap_until)

    def floor(self, now: float) -> float:
        """The oldest date acted on at `now`."""
        listened = self.listened_at if self.gap_from is None else self.gap_from
        return max(self.born_at - BIRTH_SLACK_S, listened - self.late_s, now - CATCH_UP_S)
