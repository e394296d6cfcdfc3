"""Tasks: submit, look, cancel, retry, why."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from common.wire.tasks import (
    LIVE_STATES,
    TERMINAL_STATES,
    WAITING_STATES,
    RetryTask,
    SubmitTask,
    Task,
    TaskDetail,
    TaskPage,
    TaskState,
    Why,
)
from hubd.errors import (
    ConflictError,
    ForbiddenError,
    IdempotencyMismatchError,
    InvalidError,
    NotFoundError,
    UnknownNameError,
)
from hubd.routes.api import MAX_INT, Answered, Api, Call, Nothing, given
from hubd.services.tasks import Submitted, TaskQuery, Tasks

_GROUPS = {"waiting": WAITING_STATES, "live": LIVE_STATES, "finished": TERMINAL_STATES}

Filter = Annotated[str, Meta(min_length=1, max_length=64)]


class TaskFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`state`: one or several joined by commas, or `waiting`, `live`, `finished`."""

    state: Annotated[str, Meta(max_length=200)] = ""
    node: Filter | UnsetType = UNSET
    specialist: Filter | UnsetType = UNSET
    q: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    before: Annotated[int, Meta(ge=1, le=MAX_INT)] | UnsetType = UNSET


def parse_states(text: str) -> tuple[TaskState, ...]:
    """Raises InvalidError for a word that is no state."""
    states: set[TaskState] = set()
    for word in text.split(","):
        if not word:
            continue
        if word in _GROUPS:
            states |= _GROUPS[word]
        elif word in set(TaskState):
            states.add(TaskState(word))
        else:
            raise InvalidError(
                f"{word!r} is no state; known are {', '.join([*TaskState, *_GROUPS])}"
            )
    return tuple(sorted(states))


def _answered(submitted: Submitted) -> Answered:
    return Answered(submitted.task, 201 if submitted.created else 200)


def add(api: Api, tasks: Tasks) -> None:
    """Register the routes."""

    @api.route(
        "POST /v1/tasks",
        body=SubmitTask,
        answers={201: Task, 200: Task},
        errors=(
            IdempotencyMismatchError,
            InvalidError,
            UnknownNameError,
            NotFoundError,
            ForbiddenError,
            ConflictError,
        ),
        keyed=True,
        new_work=True,
    )
    async def submit_task(call: Call[SubmitTask, Nothing]) -> Answered:
        """Give the mesh a task; with an Idempotency-Key a repeat answers 200 and the same task."""
        return _answered(await tasks.submit(call.body, key=call.idempotency_key, by=call.actor))

    @api.route("GET /v1/tasks", query=TaskFilter, answers={200: TaskPage}, errors=(InvalidError,))
    async def list_tasks(call: Call[Nothing, TaskFilter]) -> TaskPage:
        """List tasks, newest first."""
        wanted = call.query
        query = TaskQuery(
            states=parse_states(wanted.state),
            node=given(wanted.node),
            specialist=given(wanted.specialist),
            text=wanted.q or None,
            limit=wanted.limit,
            before=given(wanted.before),
        )
        return await tasks.list(query)

    @api.route("GET /v1/tasks/<task_id>", answers={200: TaskDetail}, errors=(NotFoundError,))
    async def get_task(call: Call[Nothing, Nothing], task_id: int) -> TaskDetail:
        """Show a task with its attempts, usage, cost and result."""
        return await tasks.get(task_id)

    @api.route(
        "POST /v1/tasks/<task_id>/cancel",
        answers={200: Task},
        errors=(NotFoundError, ConflictError),
    )
    async def cancel_task(call: Call[Nothing, Nothing], task_id: int) -> Task:
        """Cancel a task: at once while it waits, through its node while it runs."""
        return await tasks.cancel(task_id, by=call.actor)

    @api.route(
        "POST /v1/tasks/<task_id>/retry",
        body=RetryTask,
        may_be_bare=True,
        answers={201: Task, 200: Task},
        errors=(NotFoundError, ConflictError, IdempotencyMismatchError, InvalidError),
        keyed=True,
        new_work=True,
    )
    async def retry_task(call: Call[RetryTask, Nothing], task_id: int) -> Answered:
        """Run a task again: a finished one as a new task, one that needs attention itself.

        The new task has `retry_of` and is answered 201. A task that needs attention goes back to
        the queue and is answered 200, as is every repeat with the same Idempotency-Key. With
        `elsewhere` a task that waits for its node is let go, and one that runs is stopped there
        first and starts on another node once that is certain: both are answered 200. Any other
        task is a 409 `conflict`.
        """
        return _answered(
            await tasks.retry(
                task_id,
                key=call.idempotency_key,
                by=call.actor,
                elsewhere=call.body.elsewhere,
            )
        )

    @api.route(
        "POST /v1/tasks/<task_id>/revoke",
        answers={200: Task},
        errors=(NotFoundError, ConflictError),
    )
    async def revoke_grants(call: Call[Nothing, Nothing], task_id: int) -> Task:
        """Take back every yes that was given for the rest of a task; what ran stays done.

        A task that has none is a 409 `conflict`.
        """
        return await tasks.revoke(task_id, by=call.actor)

    @api.route("GET /v1/tasks/<task_id>/why", answers={200: Why}, errors=(NotFoundError,))
    async def explain_task(call: Call[Nothing, Nothing], task_id: int) -> Why:
        """Say why a task waits: one verdict per node, from the dispatcher's own decision."""
        return await tasks.why(task_id)
