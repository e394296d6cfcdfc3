"""The task lifecycle: every edge there is, in one table. Anything else raises.

A `Move` names why a task changes; the table says from which states it may, into which state it
leads, and who may cause it. `advance` is the only way to a new state, and keeps the rule that a
task has a node, a lease and a fence while, and only while, it is live.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, WAITING_STATES, TaskState
from hubd.domain.records import TaskRecord
from hubd.errors import ForbiddenTransitionError

S = TaskState


class Cause(StrEnum):
    """Who may move a task. A person acts through the operator role or the bridge."""

    PERSON = "person"
    NODE = "node"
    HUB = "hub"


class Move(StrEnum):
    APPROVE = "approve"
    DENY = "deny"
    LEASE = "lease"
    START = "start"
    RELEASE = "release"
    START_OVERDUE = "start_overdue"
    SUCCEED = "succeed"
    FAIL = "fail"
    BACK_OFF = "back_off"
    GIVE_BACK = "give_back"
    HOLD = "hold"
    PARK = "park"
    RESUME_PARKED = "resume_parked"
    LEASE_EXPIRED = "lease_expired"
    REAPPEAR = "reappear"
    REAPPEAR_CANCELLING = "reappear_cancelling"
    LOST = "lost"
    LOST_HELD = "lost_held"
    LOST_POISON = "lost_poison"
    LOST_CANCELLED = "lost_cancelled"
    CANCEL = "cancel"
    CANCEL_LIVE = "cancel_live"
    KILLED = "killed"
    REQUEUE = "requeue"
    GIVE_UP = "give_up"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class Edge:
    sources: frozenset[TaskState]
    target: TaskState
    causes: frozenset[Cause]
    event: str


def _edge(sources: set[TaskState], target: TaskState, event: str, *causes: Cause) -> Edge:
    return Edge(frozenset(sources), target, frozenset(causes), event)


PERSON, NODE, HUB = Cause.PERSON, Cause.NODE, Cause.HUB
RAN = {S.RUNNING, S.UNKNOWN}
RAN_OR_CANCELLED = RAN | {S.CANCELLING}

EDGES: dict[Move, Edge] = {
    # T2, T3: a verified human answers the gate; a node's answered question follows the same edge
    Move.APPROVE: _edge({S.WAITING_APPROVAL}, S.QUEUED, "task.approved", PERSON),
    Move.DENY: _edge({S.WAITING_APPROVAL}, S.DENIED, "task.denied", PERSON),
    Move.RESUME_PARKED: _edge({S.WAITING_APPROVAL}, S.QUEUED, "task.resumed", PERSON),
    # T4 to T6
    Move.LEASE: _edge({S.QUEUED}, S.LEASED, "task.leased", NODE),
    Move.START: _edge({S.LEASED}, S.RUNNING, "task.started", NODE),
    Move.RELEASE: _edge({S.LEASED}, S.QUEUED, "task.released", NODE, PERSON),
    Move.START_OVERDUE: _edge({S.LEASED}, S.QUEUED, "task.not_started", HUB),
    # T7 to T10: an attempt ends; from cancelling only with the truth that it had succeeded
    Move.SUCCEED: _edge(RAN_OR_CANCELLED, S.SUCCEEDED, "task.succeeded", NODE),
    Move.FAIL: _edge(RAN, S.FAILED, "task.failed", NODE),
    Move.BACK_OFF: _edge(RAN, S.QUEUED, "task.backed_off", NODE),
    Move.GIVE_BACK: _edge(RAN, S.QUEUED, "task.given_back", NODE),
    Move.HOLD: _edge(RAN, S.NEEDS_ATTENTION, "task.held", NODE),
    Move.PARK: _edge(RAN, S.WAITING_APPROVAL, "task.parked", NODE),
    # T11 to T13
    Move.LEASE_EXPIRED: _edge({S.RUNNING, S.CANCELLING}, S.UNKNOWN, "task.unknown", HUB),
    Move.REAPPEAR: _edge({S.UNKNOWN}, S.RUNNING, "task.reappeared", NODE),
    Move.REAPPEAR_CANCELLING: _edge({S.UNKNOWN}, S.CANCELLING, "task.reappeared", NODE),
    Move.LOST: _edge(RAN, S.QUEUED, "task.lost", HUB, NODE),
    Move.LOST_HELD: _edge(RAN, S.NEEDS_ATTENTION, "task.lost", HUB, NODE),
    Move.LOST_POISON: _edge(RAN, S.FAILED, "task.poisoned", HUB, NODE),
    Move.LOST_CANCELLED: _edge({S.UNKNOWN, S.CANCELLING}, S.CANCELLED, "task.cancelled", HUB),
    # T14 to T16
    Move.CANCEL: _edge({*WAITING_STATES, S.LEASED}, S.CANCELLED, "task.cancelled", PERSON),
    Move.CANCEL_LIVE: _edge({S.RUNNING}, S.CANCELLING, "task.cancelling", PERSON),
    Move.KILLED: _edge({S.CANCELLING, S.UNKNOWN}, S.CANCELLED, "task.cancelled", NODE),
    # T17, T18
    Move.REQUEUE: _edge({S.NEEDS_ATTENTION}, S.QUEUED, "task.requeued", PERSON),
    Move.GIVE_UP: _edge({S.NEEDS_ATTENTION}, S.FAILED, "task.failed", PERSON),
    Move.OVERDUE: _edge({S.QUEUED}, S.FAILED, "task.failed", HUB),
}

FIRST_STATES = frozenset({S.QUEUED, S.WAITING_APPROVAL})
"""T1: what a submitted task may begin as."""


def check(state: TaskState, move: Move, cause: Cause) -> Edge:
    """The edge, or ForbiddenTransitionError."""
    edge = EDGES[move]
    if state not in edge.sources:
        raise ForbiddenTransitionError(f"no edge {move.value} leads out of {state.value}")
    if cause not in edge.causes:
        raise ForbiddenTransitionError(f"{cause.value} may not cause {move.value}")
    return edge


def advance(
    task: TaskRecord, move: Move, cause: Cause, *, now: float, **changes: Any
) -> TaskRecord:
    """The task after `move`, with `changes` to its other fields.

    Leaving the live states clears node, lease and fence; entering a terminal state sets
    `finished_at`. Raises ForbiddenTransitionError for anything that is not an edge.
    """
    edge = check(task.state, move, cause)
    derived: dict[str, Any] = {"state": edge.target, "updated_at": now}
    if edge.target not in LIVE_STATES:
        derived |= {"node": None, "lease_until": None, "fence": None, "unknown_since": None}
    if edge.target in TERMINAL_STATES:
        derived |= {"finished_at": now, "wait_reason": None, "not_before": None}
    moved = replace(task, **(derived | changes))
    check_shape(moved)
    return moved


def check_shape(task: TaskRecord) -> None:
    """Raises ForbiddenTransitionError unless live ⇔ node, lease and fence are set (I17)."""
    held = (task.node is not None, task.lease_until is not None, task.fence is not None)
    live = task.state in LIVE_STATES
    if held != (live, live, live):
        raise ForbiddenTransitionError(
            f"task {task.id} in {task.state.value} with node, lease, fence {held}"
        )
