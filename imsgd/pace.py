"""How fast replies may follow one another; a burst to one address gets an account blocked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 60.0


@dataclass(slots=True)
class Pace:
    """At most `per_minute` replies to a conversation within any minute."""

    per_minute: int
    _sent: dict[str, deque[float]] = field(default_factory=dict)

    def wait_s(self, conversation: str, *, now: float) -> float:
        """How long the next reply has to wait; `now` is monotonic."""
        sent = self._sent.setdefault(conversation, deque())
        while sent and sent[0] <= now - WINDOW_S:
            sent.popleft()
        return max(0.0, sent[0] + WINDOW_S - now) if len(sent) >= self.per_minute else 0.0

    def took(self, conversation: str, *, now: float) -> None:
        self._sent.setdefault(conversation, deque()).append(now)
