"""`retry 42 elsewhere`: a task is taken away from its node, and never runs on two at once.

What waits is free at once. What runs, or may run, is stopped first: its node confirms the end, or
has been silent for so long that it has ended its work.
"""

from __future__ import annotations

from dataclasses import replace

from common.wire.tasks import TaskState
from hubd.domain import places
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import TaskRecord
from hubd.errors import ConflictError
from hubd.services import journal, placing, waiting
from hubd.services.env import Env
from hubd.store import attempts, tasks
from hubd.store.transaction import Tx


def move_elsewhere(tx: Tx, env: Env, task: TaskRecord, by: str) -> TaskRecord:
    """Raises ConflictError for what is not on a node, or cannot be moved as it stands."""
    detail = {"requested_by": by}
    match task.state:
        case TaskState.QUEUED:
            return _free(tx, env, task, by)
        case TaskState.LEASED:
            attempt = attempts.find(tx.conn, task.fence or 0)
            if attempt is not None:
                task = placing.take_back(tx, env, task, attempt, Move.RELEASE, Cause.PERSON)
            return _free(tx, env, task, by)
        case TaskState.RUNNING | TaskState.UNKNOWN:
            moved = replace(task, avoid_node=task.node, wait_told=True, updated_at=tx.now)
            reason = f"stops on {task.node}, then starts elsewhere"
            if task.state is TaskState.UNKNOWN:
                reason = waiting.silence_words(tx, env, moved)
            moved = replace(moved, wait_reason=reason)
            return journal.save_task(tx, env, task, moved, "task.move_requested", detail)
        case TaskState.WAITING_APPROVAL:
            raise ConflictError(
                f"#{task.id} waits for your answer to {task.approval_code}: answer it first"
            )
        case TaskState.NEEDS_ATTENTION:
            place = tasks.place_of(task) or task.pinned_node
            return journal.move_task(
                tx, env, task, Move.REQUEUE, Cause.PERSON, detail=detail, crashes=0, sticky=False,
                wait_until=None, avoid_node=place, wait_reason="sent back to the queue",
            )  # fmt: skip
        case TaskState.CANCELLING:
            raise ConflictError(f"#{task.id} is being stopped")
    raise ConflictError(f"#{task.id} is over: it is {task.state.value}")


def _free(tx: Tx, env: Env, task: TaskRecord, by: str) -> TaskRecord:
    place = (tasks.place_of(task) if task.sticky else None) or task.pinned_node or task.last_node
    if place is None:
        raise ConflictError(f"#{task.id} is bound to no machine: it starts where there is room")
    free = replace(
        task, sticky=False, wait_until=None, avoid_node=place, not_before=None, updated_at=tx.now
    )
    free = replace(free, wait_reason=waiting.look(tx, env, free).reason)
    detail = {"requested_by": by, "away_from": place}
    return journal.save_task(tx, env, task, free, "task.moved", detail)


def safe_by(tx: Tx, env: Env, task: TaskRecord) -> str:
    """The time by which its node has ended the work of a live task, if it says nothing more."""
    silent_from = task.unknown_since or tx.now + env.config.hub.lease_s
    at = places.surely_stopped_at(silent_from, env.config.hub)
    return places.clock_time(at, tx.now, env.zone)
