"""A task's state as a word for people; the same words as in texts."""

from __future__ import annotations

from common.wire.tasks import TaskState

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


def word_of(state: TaskState) -> str:
    return _WORDS[state]
