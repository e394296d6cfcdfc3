"""What was asked of the hub and what became of it: pending, then confirmed or failed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tui.state.cells import Cell, Piece, Role, cell
from tui.state.store import Ref

SHOWN_S = 12.0
KEPT = 50


class OrderState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    SAID = "said"
    """Not an order: a word from the control centre itself."""


_LOOKS = {
    OrderState.PENDING: ("◌", Role.WARN),
    OrderState.CONFIRMED: ("✓", Role.OK),
    OrderState.FAILED: ("✗", Role.BAD),
    OrderState.SAID: ("·", Role.MUTED),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One order. `text` is what is being done, then the hub's own sentence."""

    number: int
    ref: Ref
    text: str
    state: OrderState
    at: float


@dataclass(slots=True)
class OrderLog:
    """The last orders, newest at the end."""

    kept: deque[Asked] = field(default_factory=lambda: deque(maxlen=KEPT))
    _count: int = 0

    def begin(self, ref: Ref, text: str, now: float) -> int:
        self._count += 1
        self.kept.append(Asked(self._count, ref, text, OrderState.PENDING, now))
        return self._count

    def end(self, number: int, text: str, now: float, *, ok: bool) -> None:
        state = OrderState.CONFIRMED if ok else OrderState.FAILED
        for i, asked in enumerate(self.kept):
            if asked.number == number:
                self.kept[i] = replace(asked, text=text, state=state, at=now)

    def tell(self, text: str, now: float) -> None:
        """Say something that was not asked of the hub."""
        self._count += 1
        self.kept.append(Asked(self._count, Ref("orders"), text, OrderState.SAID, now))

    def pending(self, ref: Ref) -> bool:
        return any(o.ref == ref and o.state is OrderState.PENDING for o in self.kept)

    def line(self, now: float) -> Cell | None:
        """What the order line shows: what is pending, else the last answer for a while."""
        waiting = [asked for asked in self.kept if asked.state is OrderState.PENDING]
        last = max(self.kept, key=lambda asked: (asked.at, asked.number), default=None)
        shown = waiting[-1] if waiting else last
        if shown is None or (not waiting and now - shown.at > SHOWN_S):
            return None
        glyph, role = _LOOKS[shown.state]
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        word = "" if shown.state is OrderState.SAID else f"{shown.state}  "
        return (Piece(f"{glyph} {word}", role), *cell(shown.text + more, Role.PLAIN))
