"""Nodes, their breakers and accounts, and what agentd and the hub say to each other."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from common.wire.approvals import Decision
from common.wire.facts import NodeFacts
from common.wire.moment import Moment
from common.wire.notices import Notice
from common.wire.tasks import Dollars, Id, Name, Priority, Usage

Fence = Id


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(Struct, frozen=True, kw_only=True):
    """A node's circuit breaker. `until` is when an open one admits its probe."""

    state: BreakerState = BreakerState.CLOSED
    fails: int = 0
    opens: int = 0
    until: Moment | None = None
    probe_fence: int | None = None
    reason: str | None = None
    changed_at: Moment | None = None


class Leaving(StrEnum):
    """Why a node is about to be silent."""

    STOPPING = "stopping"
    SLEEPING = "sleeping"


class Node(Struct, frozen=True, kw_only=True):
    """A machine running agentd. Its busy slots are the live tasks whose `node` is its name.

    `last_heartbeat_at` moves with `pulse` messages between events.
    """

    name: str
    slots: int
    labels: list[str] = []
    specialists: list[str] = []
    runners: list[str] = []
    account: str | None = None
    version: str | None = None
    instance_id: str | None = None
    facts: NodeFacts = NodeFacts()
    accepting: bool = True
    not_accepting_reason: str | None = None
    leaving: Leaving | None = None
    draining: bool = False
    drain_note: str | None = None
    drain_until: Moment | None = None
    registered_at: Moment
    last_heartbeat_at: Moment | None = None
    breaker: Breaker = Breaker()

    @property
    def login(self) -> str:
        """The account it uses; a node that names none has one of its own."""
        return self.account or self.name


class AccountState(StrEnum):
    OK = "ok"
    PAUSED = "paused"
    BLOCKED = "blocked"
    """Its login does not work; one task tries it again after a while."""


class Account(Struct, frozen=True, kw_only=True):
    """A model provider login shared by the nodes that name it, or the part of one that has trouble
    of its own: on one node (`main@rex`) or with one class of models (`main:opus`).

    `paused_until` is when work is tried again; `probe_fence` is the one task that tries it.
    """

    name: str
    account: str | None = None
    """The login; null means `name` (a hub of before parts)."""
    node: str | None = None
    model: str | None = None
    state: AccountState = AccountState.OK
    paused_until: Moment | None = None
    reason: str | None = None
    probe_fence: int | None = None
    changed_at: Moment | None = None

    @property
    def login(self) -> str:
        return self.account or self.name

    @property
    def title(self) -> str:
        """In words: `main`, `main on rex`, `opus on main`."""
        if self.node is not None:
            return f"{self.login} on {self.node}"
        return self.login if self.model is None else f"{self.model} on {self.login}"

    def concerns(self, login: str, node: str) -> bool:
        """Whether it is about that login as that node uses it."""
        return self.login == login and self.node in (None, node)


class NodeStatus(Node, frozen=True, kw_only=True):
    """A node as `GET /v1/nodes` shows it, with what can be derived at that moment.

    `online` is whether its heartbeat is young enough to be given work.
    """

    online: bool = False
    heartbeat_age_s: float | None = None
    busy: int = 0
    free: int = 0
    running: list[int] = []
    """Ids of the tasks that hold its slots."""
    troubles: list[Account] = []
    """What keeps it from work of its account, or of one class of models."""


class NodeList(Struct, frozen=True, kw_only=True):
    """Every node that ever registered."""

    nodes: list[NodeStatus]


class Scope(StrEnum):
    """Whom a provider refused: the whole account, this machine's login or network, or one class of
    models."""

    ACCOUNT = "account"
    NODE = "node"
    MODEL = "model"


class RegisterNode(Struct, frozen=True, kw_only=True):
    """What a node says of itself at start. `instance_id` is new at every start of agentd."""

    slots: Annotated[int, Meta(ge=1, le=256)]
    labels: Annotated[list[Name], Meta(max_length=64)] = []
    specialists: Annotated[list[Name], Meta(max_length=256)] = []
    runners: Annotated[list[Name], Meta(max_length=32)] = []
    account: Name | None = None
    version: Annotated[str, Meta(max_length=64)] | None = None
    instance_id: Annotated[str, Meta(max_length=64)] | None = None
    facts: NodeFacts = NodeFacts()


class Registered(Struct, frozen=True, kw_only=True):
    """The hub's terms. `stop_after_s`: without contact that long, a node ends its work."""

    heartbeat_s: float
    lease_s: float
    stop_after_s: float
    hub_version: str


class UsageSoFar(Struct, frozen=True, kw_only=True):
    """What a running attempt used up to now, all models; each report replaces the one before."""

    fence: Fence
    usage: Annotated[list[Usage], Meta(max_length=50)]


class Heartbeat(Struct, frozen=True, kw_only=True):
    """That a node is alive. `running` are the fences whose leases it renews; `facts` replace
    those of its registration, null leaves them. `leaving`: the last ones before it is silent.
    `usage` is of running attempts that used more since the last heartbeat that was answered."""

    running: Annotated[list[Fence], Meta(max_length=256)] = []
    accepting: bool = True
    instance_id: Annotated[str, Meta(max_length=64)] | None = None
    not_accepting_reason: Annotated[str, Meta(max_length=200)] | None = None
    leaving: Leaving | None = None
    facts: NodeFacts | None = None
    usage: Annotated[list[UsageSoFar], Meta(max_length=256)] = []


class AnswerOrder(Struct, frozen=True, kw_only=True):
    """An approval of a running attempt that was answered."""

    code: str
    fence: int
    decision: Decision
    note: str | None = None
    answer: str | None = None


class HeartbeatReply(Struct, frozen=True, kw_only=True):
    """`kill`: end these attempts and post their result (a stale one is answered `fenced`)."""

    kill: list[int] = []
    answers: list[AnswerOrder] = []
    self_test: bool = False
    """An open breaker wants to know whether the node is sound before it sends a probe."""


class Claim(Struct, frozen=True, kw_only=True):
    """How much work a node has room for, and how long it waits for some. A node that is full asks
    with no room, and hears at once when an attempt of its is to be ended."""

    free_slots: Annotated[int, Meta(ge=0, le=256)]
    wait_s: Annotated[float, Meta(ge=0, le=60)] = 25.0
    instance_id: Annotated[str, Meta(max_length=64)] | None = None


class ResumeAnswer(Struct, frozen=True, kw_only=True):
    """The answer to the question for which the task was parked."""

    code: str
    decision: Decision
    tool: str | None = None
    detail: str = ""
    digest: str = ""
    note: str | None = None
    answer: str | None = None


class Earlier(Struct, frozen=True, kw_only=True):
    """The run of the same task before this one: on which node, and how it ended."""

    node: str
    outcome: str
    error: str | None = None


class TaskSpec(Struct, frozen=True, kw_only=True):
    """All a node needs to run a task. `session_id`: resume that Claude session. `earlier`: the
    task ran before and did not get to its end."""

    id: int
    prompt: str
    title: str = ""
    priority: Priority = Priority.NORMAL
    specialist: str | None = None
    project: str | None = None
    branch: str | None = None
    model: str | None = None
    session_id: str | None = None
    continue_of: int | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None
    resume: ResumeAnswer | None = None
    earlier: Earlier | None = None
    files: list[str] = []
    """Ids for `GET /v1/files/{id}`: what came with the text."""


class Lease(Struct, frozen=True, kw_only=True):
    """A task given to a node, to be started at once. Each heartbeat that lists the `fence` renews
    the lease for `lease_s`."""

    task: TaskSpec
    attempt: int
    fence: int
    lease_s: float


class Claimed(Struct, frozen=True, kw_only=True):
    """The work a node was given; empty when none came in time. `beat`: send a heartbeat now, its
    reply holds an order."""

    leases: list[Lease] = []
    beat: bool = False


class OutputKind(StrEnum):
    TEXT = "text"
    THINKING = "thinking"
    TOOL_START = "tool_start"
    TOOL_END = "tool_end"
    STATUS = "status"


class OutputItem(Struct, frozen=True, kw_only=True):
    """A piece of an attempt's live output. `tool_id` joins a call to its end."""

    kind: OutputKind
    text: Annotated[str, Meta(max_length=100_000)] = ""
    tool: Annotated[str, Meta(max_length=200)] | None = None
    tool_id: Annotated[str, Meta(max_length=200)] | None = None
    is_error: bool = False
    at: Moment | None = None


class PostOutput(Struct, frozen=True, kw_only=True):
    """`first` is the number of the first item within the attempt, from 0: a repeated batch is
    dropped by the hub."""

    first: Annotated[int, Meta(ge=0, le=10**12)]
    items: Annotated[list[OutputItem], Meta(max_length=500)]


class OutputLine(OutputItem, frozen=True, kw_only=True):
    """An output item as the stream `GET /v1/tasks/{id}/output` carries it."""

    fence: int
    n: int


class StartAttempt(Struct, frozen=True, kw_only=True):
    """What an attempt begins with, as far as it is known by then."""

    runner: Annotated[str, Meta(max_length=64)] | None = None
    session_id: Annotated[str, Meta(max_length=200)] | None = None


class PostResult(Struct, frozen=True, kw_only=True):
    """`outcome` is one of `Outcome`; a word the hub does not know is kept and treated as
    `task_error`. `partial`: the usage is what was seen before a kill. `final`: a cap was reached or
    the model refused, so the same again would only cost the same again. `capped` is one of `Cap`:
    a limit ended it, and its session can go on. `scope` and `limited_model` say whom a provider's
    refusal concerns."""

    outcome: Annotated[str, Meta(min_length=1, max_length=64)]
    text: Annotated[str, Meta(max_length=900_000)] = ""
    usage: Annotated[list[Usage], Meta(max_length=50)] = []
    cost_usd: Dollars | None = None
    session_id: Annotated[str, Meta(max_length=200)] | None = None
    error: Annotated[str, Meta(max_length=8000)] | None = None
    resets_at: Moment | None = None
    scope: Scope | None = None
    """Null: this machine for `needs_login`, else the account or, if named, one class of models."""
    limited_model: Annotated[str, Meta(max_length=64)] | None = None
    """The class of models a limit is about, such as `opus`; null: all."""
    partial: bool = False
    final: bool = False
    capped: Annotated[str, Meta(max_length=32)] | None = None
    runner: Annotated[str, Meta(max_length=64)] | None = None
    notices: Annotated[list[Notice], Meta(max_length=50)] = []
    """What makes the answer less than a whole one."""
    approval_code: Annotated[str, Meta(max_length=8)] | None = None
    """With outcome `parked`: the question the attempt waits for."""


class Applied(Struct, frozen=True, kw_only=True):
    """`applied` or `duplicate`; a stale fence is a 409 `fenced` instead."""

    status: str


class Ask(Struct, frozen=True, kw_only=True):
    """A question in flight. `ask_id` is the runner's own id of the request: asking twice with
    the same one gives the same approval. `rules`: those that would cover the call and its like."""

    kind: str
    summary: Annotated[str, Meta(min_length=1, max_length=500)]
    detail: Annotated[str, Meta(max_length=100_000)] = ""
    choices: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=20)] = []
    tool: Annotated[str, Meta(max_length=200)] | None = None
    ask_id: Annotated[str, Meta(max_length=200)] | None = None
    risk: str = "normal"
    rules: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=20)] = []


class DrainNode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/nodes/{name}/drain`; `note` says what the drain is for."""

    note: Annotated[str, Meta(max_length=500)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None
    """Resume by itself after that long."""
