"""Stopping tasks: waiting ones end at once, running ones are killed by their node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.wire.tasks import TERMINAL_STATES, WAITING_STATES, TaskState
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import TaskRecord
from hubd.errors import ConflictError
from hubd.services import ending, journal
from hubd.services.env import Env
from hubd.store import attempts, tasks
from hubd.store.transaction import Tx


def cancel(tx: Tx, env: Env, task: TaskRecord, by: str) -> TaskRecord:
    """T14, T15. Stopping a task that is stopped or being stopped changes nothing; raises
    ConflictError for one that ended otherwise."""
    if task.state is TaskState.CANCELLED:
        return task
    if task.state in TERMINAL_STATES:
        raise ConflictError(f"#{task.id} is over already: it {_PAST[task.state]}")
    if task.cancel_requested:
        return task
    detail: dict[str, Any] = {"requested_by": by}
    if task.state in WAITING_STATES:
        return _end(tx, env, task, by)
    if task.state is TaskState.LEASED:
        attempt = attempts.find(tx.conn, task.fence or 0)
        if attempt is not None:
            ending.end_attempt(tx, env, attempt, "cancelled", classed=None)
        return _end(tx, env, task, by)
    if task.state is TaskState.RUNNING:
        return journal.move_task(
            tx, env, task, Move.CANCEL_LIVE, Cause.PERSON, detail=detail, cancel_requested=True
        )
    # Its node is silent: it is told if it comes back, else the task ends when it is given up.
    flagged = replace(task, cancel_requested=True, updated_at=tx.now)
    return journal.save_task(tx, env, task, flagged, "task.cancel_requested", detail)


def _end(tx: Tx, env: Env, task: TaskRecord, by: str) -> TaskRecord:
    return journal.move_task(
        tx,
        env,
        task,
        Move.CANCEL,
        Cause.PERSON,
        detail={"requested_by": by},
        cancel_requested=True,
        outcome="cancelled",
    )


def cancel_all(tx: Tx, env: Env, by: str) -> list[TaskRecord]:
    """Everything unfinished that was not told to stop before."""
    unfinished = [state for state in TaskState if state not in TERMINAL_STATES]
    return [
        cancel(tx, env, task, by)
        for task in tasks.in_state(tx.conn, unfinished)
        if not task.cancel_requested
    ]


_PAST = {
    TaskState.SUCCEEDED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.DENIED: "was denied",
}
