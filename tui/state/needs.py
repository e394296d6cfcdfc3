"""What needs a person, and what is broken: the first list of the first screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from common.clock import to_epoch
from common.wire.approvals import Approval, ApprovalKind, Risk
from common.wire.messages import MessageState
from common.wire.nodes import AccountState, BreakerState, Node
from common.wire.tasks import TaskState
from tui.state import words
from tui.state.cells import Cell, Column, Piece, Role, Row, cell
from tui.state.measures import age, spent, until
from tui.state.store import Ref, Store

COLUMNS = (
    Column("", width=9),
    Column("about", width=8),
    Column("", 0),
    Column("age", width=5, right=True),
)
COLUMNS_ABOVE = (Column("", width=9), Column("about", 0), Column("age", width=5, right=True))
"""The same when the text stands in a second line."""
_KIND_WORDS = {
    ApprovalKind.GATE: "approve",
    ApprovalKind.TOOL: "allow",
    ApprovalKind.QUESTION: "answer",
    ApprovalKind.BUDGET: "budget",
}


@dataclass(frozen=True, slots=True)
class Need:
    """One line of *Needs you*. `ref` is what it is about; `rank` orders the list, then age.

    `yours` is False for what will mend itself and is shown because it explains a wait.
    """

    ref: Ref
    rank: int
    glyph: str
    word: str
    role: Role
    about: str
    text: str
    since: datetime | None = None
    approval: Approval | None = None
    yours: bool = True


def needs(store: Store, now: float) -> list[Need]:
    """Questions first, risky before others, then faults; older first within each."""
    found = [
        *_questions(store),
        *_tasks(store),
        *_hub(store),
        *_accounts(store, now),
        *_nodes(store, now),
        *_bridge(store),
    ]
    found.sort(key=lambda need: (need.rank, _age_key(need), need.ref))
    return found


def need_row(need: Need, now: float, *, mark: str = "") -> Row:
    """`mark` replaces the age while an answer is under way."""
    asked = need.since is not None
    word = (Piece(f"{need.glyph} {need.word}", need.role),)
    about = cell(need.about, Role.STRONG)
    when: Cell = (Piece(mark, Role.WARN),) if mark else cell(
        age(now - to_epoch(need.since)) if asked and need.since else "", Role.MUTED
    )  # fmt: skip
    return (word, about, cell(need.text, Role.PLAIN if need.yours else Role.MUTED), when)


def need_text(need: Need) -> Cell:
    """The second line of a row where the list is too narrow for one."""
    return cell(f"  {need.text}", Role.PLAIN if need.yours else Role.MUTED)


def _age_key(need: Need) -> float:
    return to_epoch(need.since) if need.since else 0.0


def _questions(store: Store) -> Iterator[Need]:
    for approval_id in store.pending:
        approval = store.folded.approvals[approval_id]
        risky = approval.risk is Risk.HIGH
        task = f" #{approval.task_id}" if approval.task_id else ""
        yield Need(
            ref=Ref("approval", str(approval.id)),
            rank=0 if risky else 1,
            glyph="!" if risky else "?",
            word=_KIND_WORDS[approval.kind],
            role=Role.BAD if risky else Role.ASK,
            about=f"{approval.code}{task}",
            text=f"{'high risk: ' if risky else ''}{approval.summary}",
            since=approval.asked_at,
            approval=approval,
        )


def _tasks(store: Store) -> Iterator[Need]:
    if not store.counts[TaskState.NEEDS_ATTENTION]:
        return
    for task in store.folded.tasks.values():
        if task.state is TaskState.NEEDS_ATTENTION:
            yield Need(
                ref=Ref("task", str(task.id)),
                rank=2,
                glyph="!",
                word="decide",
                role=Role.BAD,
                about=f"#{task.id}",
                text=f"{task.wait_reason or task.error or 'needs attention'} · {task.title}",
                since=task.updated_at,
            )


def _hub(store: Store) -> Iterator[Need]:
    if store.hub and store.hub.disk_full:
        text = "the hub's disk is full: nothing new is accepted. Free some space there"
        yield Need(Ref("hub"), 2, "✗", "disk", Role.BAD, "hub", text)
    spend = store.folded.spend
    if spend.capped:
        today = spent(spend.cost_usd, spend.unknown_cost_attempts)
        text = f"{today} spent, the day's cap is reached: nothing new starts"
        yield Need(Ref("spend", spend.day), 3, "!", "cap", Role.WARN, "today", text)


def _accounts(store: Store, now: float) -> Iterator[Need]:
    for account in store.folded.accounts.values():
        if account.state is AccountState.OK:
            continue
        look = words.ACCOUNT[account.state]
        reason = account.reason or (
            "its login is gone" if account.state is AccountState.BLOCKED else "limit"
        )
        if account.state is AccountState.BLOCKED:
            where = account.node or "its Mac"
            rank, text = 3, f"{reason}: log in on {where}, then resume (u)"
        else:
            left = until(account.paused_until, now)
            rank, text = 6, f"{reason}: goes on in {age(left)}" if left is not None else reason
        yield Need(
            Ref("account", account.name), rank, look.glyph, look.word, look.role,
            account.title, text, account.changed_at, yours=rank < 6,
        )  # fmt: skip


def _nodes(store: Store, now: float) -> Iterator[Need]:
    for node in store.folded.nodes.values():
        if node.breaker.state is not BreakerState.CLOSED:
            yield _breaker(node, now)
        if silent_s(store, node, now) is not None:
            holding = len(store.live.get(node.name, ()))
            tasks = f", {holding} of its tasks hang" if holding else ""
            yield Need(
                Ref("node", node.name), 4 if holding else 6, "~", "silent", Role.WARN,
                node.name, f"no heartbeat{tasks}", node.last_heartbeat_at, yours=bool(holding),
            )  # fmt: skip


def _breaker(node: Node, now: float) -> Need:
    look = words.BREAKER[node.breaker.state]
    left = until(node.breaker.until, now)
    probe = f", next probe in {age(left)}" if left else ""
    reason = node.breaker.reason or f"{node.breaker.fails} faults in a row"
    return Need(
        Ref("node", node.name), 4, look.glyph, "breaker", look.role,
        node.name, f"{look.word}: {reason}{probe}", node.breaker.changed_at,
    )  # fmt: skip


def silent_s(store: Store, node: Node, now: float) -> float | None:
    """How long the node has been silent, when that is too long to be given work."""
    if node.last_heartbeat_at is None:
        return None
    quiet = now - to_epoch(node.last_heartbeat_at)
    return quiet if quiet > store.stale_after_s else None


def _bridge(store: Store) -> Iterator[Need]:
    bridge = store.folded.bridge
    for problem in bridge.problems:
        remedy = f" → {problem.remedy}" if problem.remedy else ""
        yield Need(
            Ref("bridge", problem.id), 5, "✉", "bridge",
            Role.BAD if bridge.state == "down" else Role.WARN,
            bridge.state, f"{problem.text}{remedy}", bridge.reported_at,
        )  # fmt: skip
    for message in store.folded.messages.values():
        if message.state in {MessageState.FAILED, MessageState.UNKNOWN}:
            look = words.MESSAGE[message.state]
            text = f"{message.error or look.word}: {message.text}"
            yield Need(
                Ref("message", message.id), 5, look.glyph, "reply", look.role,
                f"#{message.task_id}" if message.task_id else message.id, text, message.at,
            )  # fmt: skip
