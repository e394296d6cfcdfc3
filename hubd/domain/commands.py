"""What a text can mean: the commands that the grammar makes and the services carry out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from common.wire.approvals import Decision, Reach
from common.wire.tasks import Priority


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names a text may use: each in lower case, with its owner's own spelling."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    specialists: Mapping[str, str] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)
    all_projects_known: bool = True
    """Whether every node says which projects it has."""


@dataclass(frozen=True, slots=True)
class Work:
    """A new task."""

    prompt: str
    specialist: str | None = None
    node: str | None = None
    project: str | None = None
    branch: str | None = None
    approval: bool | None = None
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Continue:
    """`node` is where, if not where the session is: there it begins a new one."""

    task_id: int
    prompt: str
    node: str | None = None
    approval: bool | None = None
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` None: it was a bare yes or no. `scope`: how far a yes reaches."""

    decision: Decision
    code: str | None = None
    note: str | None = None
    scope: Reach = Reach.ONCE


@dataclass(frozen=True, slots=True)
class Revoke:
    """Take back what was allowed for the rest of a task."""

    task_id: int | None


class Topic(StrEnum):
    PENDING = "pending"
    STATUS = "status"
    LIST = "ls"
    TASK = "task"
    WHY = "why"
    MORE = "more"
    NODES = "nodes"
    AGENTS = "agents"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Look:
    topic: Topic
    task_id: int | None = None
    period: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """`task_id` None with `everything` False: which one has to be asked."""

    task_id: int | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    on: bool


class NodeVerb(StrEnum):
    DRAIN = "drain"
    UNDRAIN = "undrain"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class NodeOrder:
    verb: NodeVerb
    node: str
    timeout_s: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """`elsewhere`: on another node than it is or was on."""

    task_id: int | None
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Help:
    verb: str | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """Looks like a command and is none: `hint` is the whole reply and nothing is done."""

    hint: str


Command = (
    Work | Continue | Answer | Revoke | Look | Stop | Hold | NodeOrder | Retry | Help | Unclear
)
