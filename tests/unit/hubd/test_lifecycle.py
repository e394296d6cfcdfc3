"""The lifecycle table: every edge that is there works, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, TaskState
from hubd.domain.lifecycle import EDGES, Cause, Move, advance, check_shape
from hubd.domain.records import TaskRecord
from hubd.errors import ForbiddenTransitionError

QUEUED = TaskRecord(
    id=1, title="t", prompt="p", state=TaskState.QUEUED, created_at=0.0, updated_at=0.0
)
HELD = {"node": "rex", "fence": 7, "lease_until": 60.0}


def in_state(state: TaskState) -> TaskRecord:
    return replace(QUEUED, state=state, **(HELD if state in LIVE_STATES else {}))


ALL = [(state, move, cause) for state in TaskState for move in Move for cause in Cause]


@pytest.mark.parametrize(("state", "move", "cause"), ALL)
def test_only_the_edges_of_the_table_can_be_taken(
    state: TaskState, move: Move, cause: Cause
) -> None:
    edge = EDGES[move]
    changes = HELD if edge.target in LIVE_STATES else {}
    if state in edge.sources and cause in edge.causes:
        moved = advance(in_state(state), move, cause, now=5.0, **changes)
        assert moved.state is edge.target
        assert moved.updated_at == 5.0
    else:
        with pytest.raises(ForbiddenTransitionError):
            advance(in_state(state), move, cause, now=5.0, **changes)


def test_every_move_has_an_edge_and_every_state_can_be_left_or_is_terminal() -> None:
    assert set(EDGES) == set(Move)
    left = {state for edge in EDGES.values() for state in edge.sources}
    assert left == set(TaskState) - TERMINAL_STATES


@pytest.mark.parametrize("move", [m for m, e in EDGES.items() if e.target not in LIVE_STATES])
def test_leaving_the_live_states_lets_go_of_node_lease_and_fence(move: Move) -> None:
    edge = EDGES[move]
    for state in edge.sources:
        moved = advance(in_state(state), move, min(edge.causes), now=5.0)
        assert (moved.node, moved.lease_until, moved.fence) == (None, None, None)
        assert (moved.finished_at == 5.0) == (edge.target in TERMINAL_STATES)


@pytest.mark.parametrize("missing", ["node", "fence", "lease_until"])
def test_a_live_task_without_node_lease_or_fence_is_refused(missing: str) -> None:
    with pytest.raises(ForbiddenTransitionError):
        check_shape(replace(in_state(TaskState.RUNNING), **{missing: None}))


def test_a_waiting_task_that_holds_a_fence_is_refused() -> None:
    with pytest.raises(ForbiddenTransitionError):
        check_shape(replace(QUEUED, fence=3))
