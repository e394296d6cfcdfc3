"""When a key may decide something: alone, and on what stood on the screen when it was pressed.

Keys reach a program in bursts: a paste, a fast hand, a slow connection. A key that gives a leave,
spends or ends something must not be one letter of a sentence meant for another screen, nor answer
what came under the cursor a moment before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

KEPT = 512


@dataclass(frozen=True, slots=True)
class Pace:
    """`quiet_s` around a deciding key holds no other; `shown_s` is how long before it what it
    answers has to have been on the screen."""

    quiet_s: float = 0.15
    shown_s: float = 0.25


@dataclass(slots=True)
class Typing:
    """The times of the latest keys, and since when what is selected is what it is.

    Times are of one monotonic clock: a key's is when it was read, not when its turn came.
    """

    pace: Pace
    _times: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _count: int = 0
    _what: Hashable = None
    _since: float = 0.0

    def typed(self, at: float) -> int:
        """Note a key; returns its number."""
        self._count += 1
        self._times.append((self._count, at))
        return self._count

    def showing(self, what: Hashable, at: float) -> None:
        """Note what is selected on the screen by now."""
        if what != self._what:
            self._what, self._since = what, at

    def alone(self, number: int, at: float) -> bool:
        """Whether no other key was typed close to this one, as far as is known by now."""
        near = (other for other in self._times if other[0] != number)
        return all(abs(time - at) >= self.pace.quiet_s for _, time in near)

    def stood(self, what: Hashable, at: float) -> bool:
        """Whether `what` had been shown long enough when a key was pressed at `at`."""
        return what == self._what and at - self._since >= self.pace.shown_s
