"""The event tail: one line an event, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest

from common.fold import FoldedState
from common.wire.approvals import Approval
from common.wire.events import Entity, Event, Snapshot
from common.wire.tasks import TERMINAL_STATES, Task
from tui.state import words
from tui.state.cells import Role
from tui.state.measures import spent
from tui.state.plain import one_line

HISTORY_LINES = 60


@dataclass(frozen=True, slots=True)
class Line:
    """`kind` and `key` name the record it is about; `type` is the event's, for filters."""

    at: datetime
    glyph: str
    role: Role
    subject: str
    text: str
    kind: str
    key: str
    type: str
    seq: int = 0

    @classmethod
    def gap(cls, at: datetime) -> Line:
        """The hub could not continue where we were."""
        text = "the feed began anew: what happened in between is folded in, but not listed"
        return cls(at, "┄", Role.WARN, "feed", text, "link", "", "feed.reset")


def event_line(event: Event, folded: FoldedState) -> Line:
    """One event as a line; `folded` has it already."""
    glyph, role, subject, text = _DESCRIBE[event.entity](event, folded)
    return Line(
        event.at, glyph, role, one_line(subject), one_line(text),
        event.entity.value, event.key, event.type, event.seq,
    )  # fmt: skip


def history(snapshot: Snapshot) -> Iterator[Line]:
    """What the records of a first snapshot tell of the time before it, oldest first."""
    latest = nlargest(HISTORY_LINES, snapshot.tasks, key=lambda task: (_moved_at(task), task.id))
    yield from map(_past, reversed(latest))


def _moved_at(task: Task) -> datetime:
    return (task.state in TERMINAL_STATES and task.finished_at) or task.updated_at


def _past(task: Task) -> Line:
    look = words.TASK[task.state]
    return Line(
        _moved_at(task), look.glyph, look.role, f"#{task.id}",
        one_line(_task_text(task)), "task", str(task.id), f"task.{task.state}",
    )  # fmt: skip


_Described = tuple[str, Role, str, str]


def _task(event: Event, folded: FoldedState) -> _Described:
    task = folded.tasks.get(int(event.key))
    if task is None:
        return "·", Role.MUTED, f"#{event.key}", "forgotten"
    look = words.TASK[task.state]
    return look.glyph, look.role, f"#{task.id}", _task_text(task)


def _task_text(task: Task) -> str:
    where = f" on {task.node}" if task.node and task.state not in {"queued", "denied"} else ""
    extra = ""
    if task.state == "failed" and task.error:
        extra = f": {task.error}"
    elif task.state in {"queued", "needs_attention"} and task.wait_reason:
        extra = f", {task.wait_reason}"
    return f"{words.TASK[task.state].word}{where}{extra} · {task.title}"


def _node(event: Event, folded: FoldedState) -> _Described:
    node = folded.nodes.get(event.key)
    if node is None:
        return "·", Role.MUTED, event.key, "gone"
    what = _happening(event)
    if what.startswith("breaker"):
        look = words.BREAKER[node.breaker.state]
        reason = f": {node.breaker.reason}" if node.breaker.reason else ""
        return look.glyph, look.role, node.name, f"breaker {look.word}{reason}"
    return "▪", Role.MUTED, node.name, what + _detail(event)


def _approval(event: Event, folded: FoldedState) -> _Described:
    approval = folded.approvals.get(int(event.key))
    if approval is None:
        return "·", Role.MUTED, event.key, "forgotten"
    task = f" #{approval.task_id}" if approval.task_id else ""
    return (*_approval_look(approval), f"{approval.code}{task}", _approval_text(approval))


def _approval_look(approval: Approval) -> tuple[str, Role]:
    return {
        "pending": ("?", Role.ASK),
        "approved": ("✓", Role.OK),
        "denied": ("⊖", Role.MUTED),
        "withdrawn": ("⊘", Role.MUTED),
    }[approval.state]


def _approval_text(approval: Approval) -> str:
    if approval.state == "pending":
        return f"asks: {approval.summary}"
    by = f" by {approval.answered_by}" if approval.answered_by else ""
    via = f" ({approval.answered_via})" if approval.answered_via else ""
    note = f": {approval.note}" if approval.note else ""
    return f"{approval.state}{by}{via}{note}"


def _account(event: Event, folded: FoldedState) -> _Described:
    account = folded.accounts.get(event.key)
    if account is None:
        return "·", Role.MUTED, event.key, "gone"
    look = words.ACCOUNT[account.state]
    reason = f": {account.reason}" if account.reason else ""
    return look.glyph, look.role, account.title, f"account {look.word}{reason}"


def _message(event: Event, folded: FoldedState) -> _Described:
    message = folded.messages.get(event.key)
    if message is None:
        return "·", Role.MUTED, event.key, "forgotten"
    look = words.MESSAGE[message.state]
    arrow = "←" if message.direction == "in" else "→"
    role = look.role if look.role in {Role.BAD, Role.WARN} else Role.MUTED
    return arrow, role, message.sender or message.chat, f"{look.word}: {message.text}"


def _hold(event: Event, folded: FoldedState) -> _Described:
    hold = folded.hold
    by = f" by {hold.by}" if hold.by else ""
    if not hold.on:
        return "▸", Role.OK, "hold", f"off{by}: dispatch goes on"
    return "‖", Role.WARN, "hold", f"on{by}{f': {hold.reason}' if hold.reason else ''}"


def _spend(event: Event, folded: FoldedState) -> _Described:
    spend = folded.spend
    today = spent(spend.cost_usd, spend.unknown_cost_attempts)
    if spend.capped:
        return "!", Role.BAD, "cost", f"{today}: the day's cap is reached"
    return "$", Role.MUTED, "cost", f"{today} today"


def _bridge(event: Event, folded: FoldedState) -> _Described:
    bridge = folded.bridge
    role = Role.OK if bridge.state == "ok" else Role.WARN
    problem = f": {bridge.problems[0].text}" if bridge.problems else ""
    return "✉", role, "bridge", f"{bridge.state}{problem}"


def _audit(event: Event, folded: FoldedState) -> _Described:
    return "▪", Role.MUTED, event.key or "audit", _happening(event) + _detail(event)


def _happening(event: Event) -> str:
    return event.type.partition(".")[2].replace("_", " ").replace(".", " ") or event.type


def _detail(event: Event) -> str:
    shown = [
        f"{key} {value}"
        for key, value in event.detail.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    return f" ({', '.join(shown)})" if shown else ""


_DESCRIBE: dict[Entity, Callable[[Event, FoldedState], _Described]] = {
    Entity.TASK: _task,
    Entity.NODE: _node,
    Entity.APPROVAL: _approval,
    Entity.ACCOUNT: _account,
    Entity.MESSAGE: _message,
    Entity.HOLD: _hold,
    Entity.SPEND: _spend,
    Entity.BRIDGE: _bridge,
    Entity.AUDIT: _audit,
}
