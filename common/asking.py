"""Whether a running attempt stands still until its owner has answered.

That is no state of the task: the attempt lives and holds its slot. Yet to whoever looks it is not
"running", so every list asks here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from common.wire.tasks import TaskState


class Asked(Protocol):
    """A pending approval; `fence` is that of the attempt it was asked from."""

    @property
    def code(self) -> str: ...

    @property
    def fence(self) -> int | None: ...


class Asking(Protocol):
    """A task that may have asked."""

    @property
    def state(self) -> TaskState: ...

    @property
    def fence(self) -> int | None: ...


def question_of(task: Asking, pending: Iterable[Asked]) -> str | None:
    """The code of the first pending question that the task's running attempt waits for."""
    if task.state is not TaskState.RUNNING or task.fence is None:
        return None
    return next((asked.code for asked in pending if asked.fence == task.fence), None)
