"""The tasks as rows, and their order kept up while thousands change."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from common.clock import to_epoch
from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, Priority, Task, TaskState
from tui.state import words
from tui.state.cells import Cell, Column, Piece, Role, Row, cell
from tui.state.filters import TaskFilter
from tui.state.measures import age, count, since, spent

COLUMNS = (
    Column("id", width=5, right=True),
    Column("state", width=12),
    Column("task", 0, flex=3),
    Column("specialist", width=16, from_width=104),
    Column("node", width=9, from_width=56),
    Column("age", width=4, right=True),
    Column("tokens", width=6, right=True, from_width=84),
    Column("cost", width=6, right=True, from_width=46),
)

Key = tuple[float | str, ...]


def _usual(task: Task) -> Key:
    """What waits for a person, what runs, the queue in its order, then the finished, newest
    first."""
    if task.state in {TaskState.WAITING_APPROVAL, TaskState.NEEDS_ATTENTION}:
        return (0.0, float(task.id))
    if task.state in LIVE_STATES:
        return (1.0, -float(task.id))
    if task.state is TaskState.QUEUED:
        return (2.0, float(_PRIORITY_RANK[task.priority]), float(task.id))
    return (3.0, -_finished(task), -float(task.id))


def _finished(task: Task) -> float:
    return to_epoch(task.finished_at or task.updated_at)


_PRIORITY_RANK = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}

SORTS: dict[str, Callable[[Task], Key]] = {
    "usual": _usual,
    "newest": lambda task: (-float(task.id),),
    "oldest": lambda task: (float(task.id),),
    "cost": lambda task: (-(task.cost_usd or 0.0), -float(task.id)),
    "changed": lambda task: (-to_epoch(task.updated_at), -float(task.id)),
    "node": lambda task: ((task.node or "~").lower(), *_usual(task)),
}


@dataclass(slots=True)
class TaskIndex:
    """The ids that pass the filter, in order; a changed task costs two bisections."""

    filter: TaskFilter = field(default_factory=TaskFilter)
    sort: str = "usual"
    _keys: dict[int, Key] = field(default_factory=dict)
    _order: list[tuple[Key, int]] = field(default_factory=list)
    _ids: list[int] | None = None

    def rebuild(self, tasks: Iterable[Task]) -> None:
        """Sort everything anew: after another filter, sort or snapshot."""
        key = SORTS[self.sort]
        passes = self.filter.passes
        self._keys = {task.id: key(task) for task in tasks if passes(task)}
        self._order = sorted((key, task_id) for task_id, key in self._keys.items())
        self._ids = None

    def put(self, task_id: int, task: Task | None) -> None:
        """Place one task that changed; None when it is gone."""
        old = self._keys.get(task_id)
        new = SORTS[self.sort](task) if task is not None and self.filter.passes(task) else None
        if new == old:
            return
        self._ids = None
        if old is not None:
            del self._keys[task_id]
            del self._order[bisect.bisect_left(self._order, (old, task_id))]
        if new is not None:
            self._keys[task_id] = new
            bisect.insort(self._order, (new, task_id))

    def ids(self) -> Sequence[int]:
        """In order; the same list until something moved."""
        if self._ids is None:
            self._ids = [task_id for _, task_id in self._order]
        return self._ids

    def __len__(self) -> int:
        return len(self._order)


def task_row(task: Task, now: float, *, mark: str = "", asks: bool = False) -> Row:
    """`mark` stands in place of the state while an order for it is under way; `asks`: its running
    attempt waits for its owner."""
    look = words.task_look(task, asks)
    tokens = task.input_tokens + task.output_tokens
    tokens += task.cache_read_tokens + task.cache_write_tokens
    return (
        cell(f"#{task.id}", Role.MUTED),
        (Piece(mark, Role.WARN),) if mark else look.cell,
        _title(task),
        cell(f"@{task.specialist}" if task.specialist else "", Role.MUTED),
        cell(_where(task), Role.PLAIN if task.state in LIVE_STATES else Role.MUTED),
        cell(task_age(task, now), Role.MUTED),
        cell(count(tokens) if tokens else "", Role.MUTED),
        cell(_cost(task), Role.PLAIN),
    )


def task_age(task: Task, now: float) -> str:
    """How long it ran, runs, or waits."""
    if task.state in TERMINAL_STATES:
        if task.started_at is None or task.finished_at is None:
            return ""
        return age(to_epoch(task.finished_at) - to_epoch(task.started_at))
    moment = task.started_at if task.state in LIVE_STATES else task.created_at
    return age(since(moment or task.created_at, now))


def _where(task: Task) -> str:
    if task.state is TaskState.QUEUED and task.pinned_node:
        return f"→{task.pinned_node}"
    return "" if task.state is TaskState.QUEUED else task.node or ""


def _title(task: Task) -> Cell:
    """The title, and behind it why it waits or what went wrong."""
    pieces = list(cell(task.title, _title_role(task)))
    if task.priority is not Priority.NORMAL and task.state not in TERMINAL_STATES:
        look = words.PRIORITY[task.priority]
        pieces.insert(0, Piece(f"{look.glyph} ", look.role))
    because = ""
    if task.state in {TaskState.QUEUED, TaskState.NEEDS_ATTENTION, TaskState.UNKNOWN}:
        because = task.wait_reason or ""
    elif task.state is TaskState.FAILED:
        because = task.error or task.outcome or ""
    if because:
        pieces += cell(f"  {because}", Role.BAD if task.state == "failed" else Role.FAINT)
    return tuple(pieces)


def _title_role(task: Task) -> Role:
    return Role.MUTED if task.state in TERMINAL_STATES else Role.PLAIN


def _cost(task: Task) -> str:
    """Nothing only for a task of which nothing ran."""
    known = task.cost_usd or task.unknown_cost_attempts
    return spent(task.cost_usd, task.unknown_cost_attempts) if known else ""


def waits_for_node(task: Task) -> bool:
    """Whether it stands still because of the node on which its session is, or asks its owner."""
    if task.state is TaskState.QUEUED:
        return task.wait_until is not None
    return task.state in {TaskState.UNKNOWN, TaskState.NEEDS_ATTENTION}


def may_move(task: Task) -> bool:
    """Whether `retry` does something to a task that is not over: it then runs elsewhere."""
    return waits_for_node(task) or task.state in {TaskState.LEASED, TaskState.RUNNING}
