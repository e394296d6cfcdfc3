"""The fuse that ends a conversation of the mesh with itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

LIMIT = 8
WINDOW_S = 60.0
BLOWN_S = 600.0


@dataclass(slots=True)
class LoopFuse:
    """Counts, per conversation, inputs that look like the mesh's own replies.

    A person seldom writes such a text and never eight in a minute; a loop does nothing else. While
    the fuse is blown only texts of that form are refused, so a person is still heard.
    """

    limit: int = LIMIT
    _recent: dict[str, deque[float]] = field(default_factory=dict)
    _blown_until: dict[str, float] = field(default_factory=dict)

    def refuses(self, conversation: str, *, now: float) -> bool:
        """Count one suspicious input; whether it must be refused."""
        if now < self._blown_until.get(conversation, 0.0):
            return True
        recent = self._recent.setdefault(conversation, deque())
        recent.append(now)
        while recent and recent[0] <= now - WINDOW_S:
            recent.popleft()
        if len(recent) <= self.limit:
            return False
        self._blown_until[conversation] = now + BLOWN_S
        recent.clear()
        return True

    def blown(self, *, now: float) -> list[str]:
        """The conversations refused at `now`."""
        return sorted(name for name, until in self._blown_until.items() if now < until)
