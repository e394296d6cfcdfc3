"""The nodes as rows: slots, heartbeat, breaker, account."""

from __future__ import annotations

from common.wire.nodes import Account, AccountState, BreakerState, Node
from tui.state import words
from tui.state.cells import Cell, Column, Piece, Role, Row, cell
from tui.state.measures import NOTHING, age, plural, since, until
from tui.state.needs import silent_s
from tui.state.store import Store

APART = 66
"""From this width on, condition and breaker have a column each; below, the worse one shows."""
COLUMNS = (
    Column("node", width=9, below_width=APART),
    Column("node", 0, flex=2, from_width=APART),
    Column("slots", width=9),
    Column("state", width=11, below_width=APART),
    Column("state", width=10, from_width=APART),
    Column("beat", width=4, right=True),
    Column("breaker", width=11, from_width=APART),
    Column("account", 0, flex=3),
    Column("version", width=8, from_width=96),
)
MAX_BOXES = 5


def gauge(busy: int, slots: int) -> Cell:
    """`▮▮▯▯▯ 2/5`; one box stands for several slots on large nodes."""
    boxes = min(slots, MAX_BOXES)
    full = min(boxes, -(-busy * boxes // slots)) if slots else 0
    return (
        Piece("▮" * full, Role.RUN),
        Piece("▯" * (boxes - full), Role.FAINT),
        Piece(f" {busy}/{slots}", Role.PLAIN if busy else Role.MUTED),
    )


def condition(store: Store, node: Node, now: float) -> words.Look:
    """Whether the node takes work, in one word; the worst that is true of it."""
    if silent_s(store, node, now) is not None:
        return words.Look("~", "silent", Role.WARN)
    if node.draining:
        return words.Look("↧", "draining", Role.WARN)
    if not node.accepting:
        return words.Look("‖", "declines", Role.WARN)
    busy = len(store.live.get(node.name, ()))
    if busy >= node.slots:
        return words.Look("■", "full", Role.RUN)
    return words.Look("●", "busy", Role.RUN) if busy else words.Look("○", "ready", Role.OK)


def breaker_cell(node: Node, now: float) -> Cell:
    """`✓ closed`, `✗ open 42s` with the time until its probe."""
    look = words.BREAKER[node.breaker.state]
    pieces = [Piece(f"{look.glyph} {look.word}", look.role)]
    left = until(node.breaker.until, now)
    if node.breaker.state is BreakerState.OPEN and left is not None:
        pieces.append(Piece(f" {age(left)}" if left else " probing", Role.MUTED))
    elif node.breaker.state is BreakerState.CLOSED and node.breaker.fails:
        return (Piece(f"✓ {plural(node.breaker.fails, 'fault')}", Role.WARN),)
    return tuple(pieces)


def account_cell(store: Store, node: Node, now: float) -> Cell:
    if not node.account:
        return cell(NOTHING, Role.FAINT)
    troubles = account_troubles(store, node)
    if not troubles:
        return cell(node.account, Role.MUTED)
    account = troubles[0]
    look = words.ACCOUNT[account.state]
    left = until(account.paused_until, now)
    rest = f" {age(left)}" if left is not None else ""
    what = account.login if account.model is None else f"{account.login} {account.model}"
    return cell(f"{look.glyph}{rest} {what} {look.word}", look.role)


def account_troubles(store: Store, node: Node) -> list[Account]:
    """What keeps a node from work of its account: the login, its part there, a class of models."""
    found = [
        account
        for account in store.folded.accounts.values()
        if account.state is not AccountState.OK and account.concerns(node.login, node.name)
    ]
    return sorted(found, key=lambda account: (account.model is not None, account.name))


def node_row(store: Store, node: Node, now: float, *, mark: str = "") -> Row:
    """`mark` stands in place of its state while an order for it is under way."""
    quiet = since(node.last_heartbeat_at, now)
    late = quiet is not None and quiet > store.stale_after_s
    look = condition(store, node, now)
    closed = node.breaker.state is BreakerState.CLOSED and not node.breaker.fails
    asked: Cell = (Piece(mark, Role.WARN),) if mark else ()
    return (
        cell(node.name, Role.STRONG),
        cell(node.name, Role.STRONG),
        gauge(len(store.live.get(node.name, ())), node.slots),
        asked or (look.cell if closed else breaker_cell(node, now)),
        asked or look.cell,
        cell(age(quiet), Role.WARN if late else Role.MUTED),
        breaker_cell(node, now),
        account_cell(store, node, now),
        cell(node.version or NOTHING, Role.FAINT),
    )
