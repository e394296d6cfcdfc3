"""The link to the hub as it truly is: what is shown is called live only while it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tui.state.cells import Cell, Piece, Role
from tui.state.measures import age

STALE_AFTER_S = 10.0
"""After that long without a link the word changes from `reconnecting` to `stale`."""


class LinkState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    CHECKING = "checking"
    """This machine slept: the link may be dead without anybody having noticed."""
    LOST = "lost"
    REFUSED = "refused"
    """The hub answered no, or there is no token: it does not mend itself."""


@dataclass(frozen=True, slots=True)
class Link:
    """`since` is when it became so, `retry_at` the next try; both in this machine's epoch."""

    state: LinkState = LinkState.CONNECTING
    since: float = 0.0
    reason: str = ""
    retry_at: float | None = None

    @property
    def live(self) -> bool:
        return self.state is LinkState.LIVE


def link_cell(link: Link, heard_at: float | None, now: float) -> Cell:
    """`● live 2s` is the age of the newest data; whatever is not live says since when."""
    match link.state:
        case LinkState.LIVE:
            quiet = age(now - heard_at) if heard_at is not None else "0s"
            return (Piece("● live", Role.OK), Piece(f" {quiet}", Role.MUTED))
        case LinkState.CONNECTING:
            return (Piece("◌ connecting", Role.WARN),)
        case LinkState.CHECKING:
            return (Piece("◌ checking", Role.WARN), _as_of(heard_at, now))
        case LinkState.REFUSED:
            return (Piece("✗ refused", Role.BAD), _as_of(heard_at, now))
        case LinkState.LOST:
            stale = now - link.since >= STALE_AFTER_S
            word = "✗ stale" if stale else "◌ reconnecting"
            return (
                Piece(word, Role.BAD if stale else Role.WARN),
                _as_of(heard_at, now),
                Piece(f" · {_next_try(link, now)}", Role.MUTED),
            )


def _next_try(link: Link, now: float) -> str:
    left = (link.retry_at or now) - now
    return "trying now" if left <= 0 else f"next try {max(1, round(left))}s"


def _as_of(heard_at: float | None, now: float) -> Piece:
    return Piece("" if heard_at is None else f" {age(now - heard_at)} old", Role.WARN)
