"""The strip at the top of every screen: link, counts, money, breakers, hold."""

from __future__ import annotations

from datetime import tzinfo

from common.wire.nodes import AccountState, BreakerState
from common.wire.tasks import LIVE_STATES, TaskState
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.link import link_cell
from tui.state.measures import clock_time, money, spent
from tui.state.needs import needs
from tui.state.store import Store

RUNNING_STATES = tuple(LIVE_STATES)


def header(
    store: Store, local: float, zone: tzinfo | None, *, narrow: bool = False
) -> tuple[list[Cell], list[Cell]]:
    """What stands left and what stands right; parts are dropped from the end when it is narrow."""
    left: list[Cell] = [link_cell(store.link, store.heard_at, local)]
    if not store.loaded:
        return left, [cell(clock_time(local, zone, seconds=False), Role.MUTED)]
    now = store.now(local)
    left.append(_counts(store, now, narrow))
    right = [cell_ for cell_ in (_breakers(store, narrow), _money(store)) if cell_]
    return left, [*right, cell(clock_time(local, zone, seconds=False), Role.FAINT)]


def _counts(store: Store, now: float, narrow: bool) -> Cell:
    running = sum(store.counts[state] for state in RUNNING_STATES)
    queued = store.counts[TaskState.QUEUED]
    yours = sum(need.yours for need in needs(store, now))
    run, for_you = ("run", "you") if narrow else ("running", "for you")
    return (
        Piece(f"● {running} {run}", Role.RUN if running else Role.MUTED),
        Piece("  "),
        Piece(f"○ {queued} queued", Role.WAIT if queued else Role.MUTED),
        Piece("  "),
        Piece(f"? {yours} {for_you}", Role.ASK if yours else Role.MUTED),
    )


def _money(store: Store) -> Cell:
    spend = store.folded.spend
    today = spent(spend.cost_usd, spend.unknown_cost_attempts)
    if not spend.cap_usd:
        return (Piece(today, Role.STRONG), Piece(" today", Role.MUTED))
    share = spend.cost_usd / spend.cap_usd
    role = Role.BAD if spend.capped or share >= 1 else Role.WARN if share >= 0.8 else Role.STRONG
    return (Piece(today, role), Piece(f"/{money(spend.cap_usd)}", Role.MUTED))


def _breakers(store: Store, narrow: bool) -> Cell:
    open_ = sum(
        node.breaker.state is not BreakerState.CLOSED for node in store.folded.nodes.values()
    )
    paused = sum(account.state is not AccountState.OK for account in store.folded.accounts.values())
    pieces: list[Piece] = []
    if open_:
        pieces.append(Piece(f"✗ {open_} open", Role.BAD))
    elif not narrow:
        pieces.append(Piece("✓ breakers closed", Role.MUTED))
    if paused and not narrow:
        pieces.append(Piece(f"{'  ' if pieces else ''}‖ {paused} paused", Role.WARN))
    return tuple(pieces)


def banner(store: Store, local: float, zone: tzinfo | None) -> Cell | None:
    """The second line, when there is something that changes how the rest is to be read."""
    if store.link.reason and not store.link.live and store.loaded:
        return (
            Piece(" NOT LIVE ", Role.BADGE),
            *cell(f"  {store.link.reason}", Role.WARN),
        )
    hold = store.folded.hold
    if store.loaded and hold.on:
        by = f" by {hold.by}" if hold.by else ""
        reason = f": {hold.reason}" if hold.reason else ""
        when = f" since {clock_time(hold.at.timestamp(), zone, seconds=False)}" if hold.at else ""
        return (
            Piece(" HOLD ", Role.BADGE),
            *cell(f"  nothing new starts{when}{by}{reason}. Running work goes on.", Role.WARN),
        )
    return None
