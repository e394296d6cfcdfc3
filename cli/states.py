"""A task's state as a word for people; the same words as in texts."""

from __future__ import annotations

from collections.abc import Iterable

from common.asking import question_of
from common.wire.approvals import Approval
from common.wire.tasks import Task, TaskState

_WORDS = {
    TaskState.QUEUED: "waits",
    TaskState.WAITING_APPROVAL: "waits for your yes",
    TaskState.NEEDS_ATTENTION: "needs you",
    TaskState.LEASED: "starting",
    TaskState.RUNNING: "running",
    TaskState.CANCELLING: "stopping",
    TaskState.UNKNOWN: "out of touch",
    TaskState.SUCCEEDED: "done",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "stopped",
    TaskState.DENIED: "denied",
}


ASKS_YOU = "asks you"


def word_of(state: TaskState) -> str:
    return _WORDS[state]


def word_for(task: Task, pending: Iterable[Approval]) -> str:
    """What the task does; a running one may wait for its owner."""
    return ASKS_YOU if question_of(task, pending) else word_of(task.state)
