"""Every state as glyph, word and role: never by colour alone."""

from __future__ import annotations

from typing import NamedTuple

from common.wire.messages import MessageState
from common.wire.nodes import AccountState, BreakerState
from common.wire.tasks import Priority, Task, TaskState
from tui.state.cells import Cell, Piece, Role


class Look(NamedTuple):
    glyph: str
    word: str
    role: Role

    @property
    def cell(self) -> Cell:
        return (Piece(f"{self.glyph} {self.word}", self.role),)


TASK: dict[TaskState, Look] = {
    TaskState.QUEUED: Look("○", "queued", Role.WAIT),
    TaskState.WAITING_APPROVAL: Look("?", "approval", Role.ASK),
    TaskState.NEEDS_ATTENTION: Look("!", "attention", Role.BAD),
    TaskState.LEASED: Look("◔", "leased", Role.RUN),
    TaskState.RUNNING: Look("●", "running", Role.RUN),
    TaskState.CANCELLING: Look("◌", "cancelling", Role.WARN),
    TaskState.UNKNOWN: Look("~", "unknown", Role.WARN),
    TaskState.SUCCEEDED: Look("✓", "succeeded", Role.OK),
    TaskState.FAILED: Look("✗", "failed", Role.BAD),
    TaskState.CANCELLED: Look("⊘", "cancelled", Role.MUTED),
    TaskState.DENIED: Look("⊖", "denied", Role.MUTED),
}
ASKS = Look("?", "asks you", Role.ASK)
"""A running task whose attempt waits for its owner."""


def task_look(task: Task, asks: bool) -> Look:
    """`asks`: its running attempt has a question that is not answered."""
    return ASKS if asks else TASK[task.state]


BREAKER: dict[BreakerState, Look] = {
    BreakerState.CLOSED: Look("✓", "closed", Role.OK),
    BreakerState.OPEN: Look("✗", "open", Role.BAD),
    BreakerState.HALF_OPEN: Look("◐", "half-open", Role.WARN),
}
ACCOUNT: dict[AccountState, Look] = {
    AccountState.OK: Look("✓", "ok", Role.OK),
    AccountState.PAUSED: Look("‖", "paused", Role.WARN),
    AccountState.BLOCKED: Look("✗", "blocked", Role.BAD),
}
MESSAGE: dict[MessageState, Look] = {
    MessageState.RECEIVED: Look("✓", "received", Role.MUTED),
    MessageState.PENDING: Look("○", "waiting", Role.WAIT),
    MessageState.SENDING: Look("◔", "sending", Role.RUN),
    MessageState.SENT: Look("✓", "sent", Role.OK),
    MessageState.FAILED: Look("✗", "failed", Role.BAD),
    MessageState.UNKNOWN: Look("~", "perhaps sent", Role.WARN),
}
PRIORITY: dict[Priority, Look] = {
    Priority.HIGH: Look("↑", "high", Role.WARN),
    Priority.NORMAL: Look(" ", "normal", Role.PLAIN),
    Priority.LOW: Look("↓", "low", Role.MUTED),
}
