"""Tasks: submit, look, cancel, retry, and why one waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from common.wire.nodes import OutputLine
from common.wire.tasks import SubmitTask, Task, TaskDetail, TaskPage, TaskState, Why
from hubd.domain.actors import Actor


@dataclass(frozen=True, slots=True)
class Submitted:
    """`created` is False when the idempotency key had been used with the same body."""

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
    async def submit(self, request: SubmitTask, *, key: str | None, by: Actor) -> Submitted:
        """Record a task; raises IdempotencyMismatchError, InvalidError, NotFoundError
        (`continue_of`), ForbiddenError (approval.deny), StorageFullError."""
        raise NotImplementedError

    async def get(self, task_id: int) -> TaskDetail:
        """Raises NotFoundError."""
        raise NotImplementedError

    async def list(self, query: TaskQuery) -> TaskPage:
        raise NotImplementedError

    async def cancel(self, task_id: int, *, by: Actor) -> Task:
        """Raises NotFoundError, ConflictError when it is finished."""
        raise NotImplementedError

    async def cancel_all(self, *, by: Actor) -> Sequence[Task]:
        """Everything unfinished; waiting tasks end at once, running ones are told to."""
        raise NotImplementedError

    async def retry(self, task_id: int, *, key: str | None, by: Actor) -> Submitted:
        """A finished task again, as a new one with `retry_of`; a task that needs attention goes
        back to the queue itself. Raises NotFoundError, ConflictError."""
        raise NotImplementedError

    async def why(self, task_id: int) -> Why:
        """Raises NotFoundError."""
        raise NotImplementedError

    def output(
        self, task_id: int, *, after: tuple[int, int] | None = None
    ) -> AsyncIterator[OutputLine | None]:
        """What the task's attempts say, stored lines first, then as they come; ends with the task.

        `after` is (fence, n) of the last line seen. None comes about every 15 s of silence.
        Raises NotFoundError at the first step.
        """
        raise NotImplementedError
