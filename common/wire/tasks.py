"""Tasks, their attempts, and what running them used."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from common.wire.approvals import Approval, Grant
from common.wire.moment import Moment
from common.wire.notices import Notice
from common.wire.usage import Dollars as Dollars
from common.wire.usage import Usage as Usage

ShortText = Annotated[str, Meta(max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Prompt = Annotated[str, Meta(min_length=1, max_length=200_000)]


class TaskState(StrEnum):
    """Where a task stands. Once `succeeded`, `failed`, `cancelled` or `denied`, it stays so."""

    QUEUED = "queued"
    WAITING_APPROVAL = "waiting_approval"
    NEEDS_ATTENTION = "needs_attention"
    LEASED = "leased"
    RUNNING = "running"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DENIED = "denied"


WAITING_STATES = frozenset(
    {TaskState.QUEUED, TaskState.WAITING_APPROVAL, TaskState.NEEDS_ATTENTION}
)
LIVE_STATES = frozenset(
    {TaskState.LEASED, TaskState.RUNNING, TaskState.CANCELLING, TaskState.UNKNOWN}
)
TERMINAL_STATES = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.DENIED}
)


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Outcome(StrEnum):
    """How an attempt ended, as its runner classified it (DESIGN §6)."""

    OK = "ok"
    TASK_ERROR = "task_error"
    PERMANENT = "permanent"
    PROVIDER_LIMIT = "provider_limit"
    PROVIDER_BUSY = "provider_busy"
    NEEDS_LOGIN = "needs_login"
    NODE_FAULT = "node_fault"
    INTERNAL = "internal"
    """A fault in agentd's own code: it says nothing of the node, the login or the task."""
    LOST = "lost"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    PARKED = "parked"


class Cap(StrEnum):
    """Which limit ended an attempt that was not at its end."""

    TURNS = "turns"
    TIME = "time"
    BUDGET = "budget"


class OnLost(StrEnum):
    """What becomes of a task whose node stays silent past `lost_after`."""

    REQUEUE = "requeue"
    HOLD = "hold"


class Attempt(Struct, frozen=True, kw_only=True):
    """One run of a task on a node. `partial` says its usage is what was seen before a kill, or so
    far. `cost_usd` is the figure that counts: the runner's own, or else our estimate."""

    fence: int
    task_id: int
    number: int
    node: str
    runner: str | None = None
    account: str | None = None
    leased_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    outcome: str | None = None
    error: str | None = None
    notices: list[Notice] = []
    session_id: str | None = None
    cost_usd: float | None = None
    partial: bool = False
    usage: list[Usage] = []


class Task(Struct, frozen=True, kw_only=True):
    """What a person asked for, as every event and list shows it.

    `node` is where it runs or last ran, or else the node it is pinned to. `cost_usd` and the
    token counts are sums over its attempts, running ones with what they used so far; null when
    nothing is known of its cost, and too low by that of `unknown_cost_attempts`. `summary` is the
    beginning of the result; the whole text is in `TaskDetail.result`. `fence`, `lease_until` are
    set while, and only while, it holds a slot. Until `wait_until` an interrupted task waits for
    `session_node`, where its session and its folder are; `avoid_node` is the node it is moved away
    from.
    """

    id: int
    title: str
    prompt: str
    state: TaskState
    priority: Priority = Priority.NORMAL
    specialist: str | None = None
    node: str | None = None
    pinned_node: str | None = None
    requires: list[str] = []
    project: str | None = None
    branch: str | None = None
    source: str = "api"
    submitted_by: str = ""
    conversation: str | None = None
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    not_before: Moment | None = None
    wait_reason: str | None = None
    attempt: int = 0
    crashes: int = 0
    fence: int | None = None
    lease_until: Moment | None = None
    on_lost: OnLost = OnLost.REQUEUE
    approval_code: str | None = None
    cancel_requested: bool = False
    cancel_raced: bool = False
    outcome: str | None = None
    error: str | None = None
    notices: list[Notice] = []
    """What makes the answer of its last attempt less than a whole one."""
    summary: str | None = None
    session_id: str | None = None
    session_node: str | None = None
    wait_until: Moment | None = None
    avoid_node: str | None = None
    retry_of: int | None = None
    continue_of: int | None = None
    model: str | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None
    cost_usd: float | None = 0.0
    unknown_cost_attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    grants: list[Grant] = []


class TaskDetail(Task, frozen=True, kw_only=True):
    """A task with its history, as `GET /v1/tasks/{id}` answers."""

    result: str | None = None
    attempts: list[Attempt] = []
    usage: list[Usage] = []
    approvals: list[Approval] = []


class SubmitTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tasks`. `approval`: whether to ask a person first; null
    leaves it to the policy."""

    prompt: Prompt
    title: ShortText | None = None
    specialist: Name | None = None
    node: Name | None = None
    requires: Annotated[list[Name], Meta(max_length=20)] = []
    priority: Priority = Priority.NORMAL
    approval: bool | None = None
    project: Annotated[str, Meta(max_length=200)] | None = None
    branch: Annotated[str, Meta(max_length=200)] | None = None
    model: Annotated[str, Meta(max_length=100)] | None = None
    max_cost_usd: Annotated[float, Meta(gt=0, le=10_000)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] | None = None
    continue_of: Id | None = None
    on_lost: OnLost = OnLost.REQUEUE
    fresh: bool = False
    """With `continue_of`: start a new session elsewhere rather than wait for the node that holds
    the old one."""


class RetryTask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tasks/{id}/retry`, which may be left out. `elsewhere`: on another node
    than it is or was on, also when it is not over."""

    elsewhere: bool = False


class TaskPage(Struct, frozen=True, kw_only=True):
    """Newest first; `next_before` is the id to pass as `before` for the next page."""

    tasks: list[Task]
    next_before: int | None = None


class NodeVerdict(Struct, frozen=True, kw_only=True):
    """Why one node does or does not take a task, from the dispatcher's own decision."""

    node: str
    eligible: bool
    reason: str
    until: Moment | None = None


class Why(Struct, frozen=True, kw_only=True):
    """`GET /v1/tasks/{id}/why`: one sentence and one verdict a node.

    `place` counts from 1 among the tasks waiting for a slot; null when it waits for something
    else. `would_run_on` names the best eligible node.
    """

    task_id: int
    state: TaskState
    reason: str
    place: int | None = None
    would_run_on: str | None = None
    nodes: list[NodeVerdict] = []
