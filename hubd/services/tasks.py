"""Tasks: submit, look, cancel, retry, and why one waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from common.wire.approvals import ApprovalKind
from common.wire.nodes import OutputLine
from common.wire.tasks import (
    TERMINAL_STATES,
    SubmitTask,
    Task,
    TaskDetail,
    TaskPage,
    TaskState,
    Why,
)
from hubd.domain.actors import Actor
from hubd.domain.dispatch import is_fresh
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import TaskRecord
from hubd.errors import ConflictError
from hubd.services import (
    asking,
    cancelling,
    ending,
    journal,
    moving,
    present,
    submitting,
    waiting,
)
from hubd.services.env import Env
from hubd.services.output import OutputFeed
from hubd.services.submitting import Origin
from hubd.store import approvals, attempts, money, nodes, tasks
from hubd.store.database import Database
from hubd.store.transaction import Tx, View


@dataclass(frozen=True, slots=True)
class Submitted:
    """`created` is False for a repeat with a known idempotency key, and for a task that was put
    back into the queue itself."""

    task: Task
    created: bool


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """What a list shows; `before` is the id under which it continues."""

    states: tuple[TaskState, ...] = ()
    node: str | None = None
    specialist: str | None = None
    text: str | None = None
    limit: int = 50
    before: int | None = None


class Tasks:
    """Every method raises NotFoundError for a task that does not exist."""

    def __init__(self, database: Database, env: Env, output: OutputFeed) -> None:
        self._database = database
        self._env = env
        self._output = output

    async def submit(self, request: SubmitTask, *, key: str | None, by: Actor) -> Submitted:
        """Record a task; raises IdempotencyMismatchError, UnknownNameError, ForbiddenError
        (approval.deny), InvalidError (a project that no node has), ConflictError (`continue_of`
        has not begun), StorageFullError."""
        digest = submitting.body_hash("submit", request)
        origin = Origin(source="control" if by.via == "control" else "api", by=by.name)

        def run(tx: Tx) -> Submitted:
            known = submitting.known_submission(tx, key, digest)
            if known is not None:
                return Submitted(present.task(known), created=False)
            named = submitting.with_known_names(tx, request)
            task = submitting.submit(tx, self._env, named, origin, key=key, digest=digest)
            return Submitted(present.task(task), created=True)

        return await self._database.write(run)

    async def get(self, task_id: int) -> TaskDetail:
        return await self._database.read(lambda view: _detail(view, task_id))

    async def list(self, query: TaskQuery) -> TaskPage:
        """Newest first."""
        limit = max(1, min(query.limit, 500))

        def run(view: View) -> TaskPage:
            found = tasks.page(
                view.conn,
                states=query.states,
                node=query.node,
                specialist=query.specialist,
                text=query.text,
                limit=limit + 1,
                before=query.before,
            )
            more = len(found) > limit
            shown = found[:limit]
            return TaskPage(
                tasks=[present.task(task) for task in shown],
                next_before=shown[-1].id if more else None,
            )

        return await self._database.read(run)

    async def cancel(self, task_id: int, *, by: Actor) -> Task:
        """Raises ConflictError when it is finished."""

        def run(tx: Tx) -> Task:
            task = submitting.find_task(tx, task_id)
            return present.task(cancelling.cancel(tx, self._env, task, by.name))

        return await self._database.write(run)

    async def cancel_all(self, *, by: Actor) -> Sequence[Task]:
        """Everything unfinished; waiting tasks end at once, running ones are told to."""
        return await self._database.write(
            lambda tx: [present.task(t) for t in cancelling.cancel_all(tx, self._env, by.name)]
        )

    async def retry(
        self, task_id: int, *, key: str | None, by: Actor, elsewhere: bool = False
    ) -> Submitted:
        """A finished task again, as a new one with `retry_of`; a task that needs attention goes
        back to the queue itself. `elsewhere`: on another node than it was on, also one that is
        not over. Raises ConflictError for one that is none of these, and
        IdempotencyMismatchError."""
        origin = Origin(source="api", by=by.name)
        return await self._database.write(
            lambda tx: retry_task(tx, self._env, task_id, origin, key=key, elsewhere=elsewhere)
        )

    async def revoke(self, task_id: int, *, by: Actor) -> Task:
        """Take back what was allowed for the rest of the task. Raises ConflictError for none."""

        def run(tx: Tx) -> Task:
            task = submitting.find_task(tx, task_id)
            return present.task(asking.revoke(tx, self._env, task, by.name))

        return await self._database.write(run)

    async def give_up(self, task_id: int, *, by: Actor) -> Task:
        """End a task that needs attention as failed. Raises ConflictError for any other."""

        def run(tx: Tx) -> Task:
            task = submitting.find_task(tx, task_id)
            if task.state is not TaskState.NEEDS_ATTENTION:
                raise ConflictError(f"#{task_id} needs no attention: it is {task.state.value}")
            return present.task(
                journal.move_task(
                    tx,
                    self._env,
                    task,
                    Move.GIVE_UP,
                    Cause.PERSON,
                    detail={"requested_by": by.name},
                )
            )

        return await self._database.write(run)

    async def why(self, task_id: int) -> Why:
        return await self._database.read(
            lambda view: waiting.why(view, self._env, submitting.find_task(view, task_id))
        )

    def output(
        self, task_id: int, *, after: tuple[int, int] | None = None
    ) -> AsyncIterator[OutputLine | None]:
        """What the task's attempts say, stored lines first, then as they come; ends with the task.

        `after` is (fence, n) of the last line seen. None comes after 15 s of silence.
        Raises NotFoundError at the first step. Wrap in `contextlib.aclosing`.
        """
        return self._output.follow(task_id, after or (0, -1))


def retry_task(
    tx: Tx,
    env: Env,
    task_id: int,
    origin: Origin,
    *,
    key: str | None = None,
    elsewhere: bool = False,
) -> Submitted:
    """Run a task again (T17, or a new task for a finished one)."""
    digest = submitting.body_hash("retry elsewhere" if elsewhere else "retry", task_id)
    known = submitting.known_submission(tx, key, digest)
    if known is not None:
        return Submitted(present.task(known), created=False)
    task = submitting.find_task(tx, task_id)
    if task.state in TERMINAL_STATES:
        return _run_again(tx, env, task, origin, key, digest, elsewhere)
    if elsewhere:
        task = moving.move_elsewhere(tx, env, task, origin.by)
    elif task.state is TaskState.NEEDS_ATTENTION:
        task = _requeue(tx, env, task, origin)
    else:
        hint = f": retry {task_id} elsewhere moves it" if task.node or task.wait_until else ""
        raise ConflictError(f"#{task_id} is not over: it is {task.state.value}{hint}")
    if key is not None:
        tasks.insert_key(tx.conn, key, digest, task.id)
    return Submitted(present.task(task), created=False)


def _run_again(
    tx: Tx,
    env: Env,
    task: TaskRecord,
    origin: Origin,
    key: str | None,
    digest: str,
    elsewhere: bool,
) -> Submitted:
    where = replace(origin, conversation=origin.conversation or task.conversation)
    where = replace(where, files=task.files)
    again = submitting.submit(
        tx,
        env,
        submitting.again(task),
        where,
        key=key,
        digest=digest,
        retry_of=task.id,
        gated=any(a.kind is ApprovalKind.GATE for a in approvals.of_task(tx.conn, task.id)),
        avoid_node=tasks.place_of(task) if elsewhere else None,
    )
    return Submitted(present.task(again), created=True)


def _requeue(tx: Tx, env: Env, task: TaskRecord, origin: Origin) -> TaskRecord:
    """Back to its session, if the node that holds it is there."""
    place = tasks.place_of(task)
    node = None if place is None else nodes.find(tx.conn, place)
    age_s = None if node is None or node.heartbeat_at is None else tx.now - node.heartbeat_at
    there = is_fresh(age_s, env.config.hub.stale_after_s)
    held = ending.held_place(tx, env, task, place or "", keeps=there, start=tx.now)
    return journal.move_task(
        tx,
        env,
        task,
        Move.REQUEUE,
        Cause.PERSON,
        detail={"requested_by": origin.by},
        wait_reason="sent back to the queue",
        crashes=0,
        **held,
    )


def _detail(view: View, task_id: int) -> TaskDetail:
    task = submitting.find_task(view, task_id)
    usage = money.usage_of_task(view.conn, task_id)
    costs = money.of_attempts(view.conn, task_id)
    return TaskDetail(
        **msgspec.structs.asdict(present.task(task)),
        result=tasks.result(view.conn, task_id),
        attempts=[
            present.attempt(record, usage.get(record.fence, []), cost_usd, partial=partial)
            for record in attempts.of_task(view.conn, task_id)
            for cost_usd, partial in [costs.get(record.fence, (None, record.partial))]
        ],
        usage=[item for items in usage.values() for item in items],
        approvals=[present.approval(a) for a in approvals.of_task(view.conn, task_id)],
    )
