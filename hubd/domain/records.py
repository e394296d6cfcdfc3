"""The hub's own records: what a row holds, times as epoch seconds, `None` where nothing is known.

`hubd.services.present` turns them into the structs of `common.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from common.model_class import model_class
from common.wire.approvals import ApprovalKind, ApprovalState, Reach, Risk
from common.wire.facts import NodeFacts, ProjectFacts
from common.wire.nodes import AccountState, BreakerState, Leaving
from common.wire.tasks import OnLost, Priority, TaskState


class GrantRecord(msgspec.Struct, frozen=True):
    """A yes for the rest of a task, as its row keeps it; see `hubd.domain.grants`."""

    code: str
    tool: str
    what: str
    covers: str
    granted_by: str
    granted_at: float


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """`last_node` is where it ran last; `node` is set while it is live only. `lease_until` is
    the lease as of the last change of state: renewals move the attempt's. `sticky`: it goes on
    in its session, on the node that holds it, or elsewhere after `wait_until`. `avoid_node`: a
    person moved it away from there. `rounds` counts the times it used up all its turns,
    `wait_told` that its owner knows of the wait."""

    id: int
    title: str
    prompt: str
    state: TaskState
    created_at: float
    updated_at: float
    priority: Priority = Priority.NORMAL
    specialist: str | None = None
    pinned_node: str | None = None
    requires: tuple[str, ...] = ()
    project: str | None = None
    branch: str | None = None
    model: str | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None
    on_lost: OnLost = OnLost.REQUEUE
    files: tuple[str, ...] = ()
    source: str = "api"
    submitted_by: str = ""
    conversation: str | None = None
    retry_of: int | None = None
    continue_of: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    not_before: float | None = None
    deadline: float | None = None
    wait_reason: str | None = None
    attempt: int = 0
    faults: int = 0
    crashes: int = 0
    node: str | None = None
    last_node: str | None = None
    fence: int | None = None
    lease_until: float | None = None
    unknown_since: float | None = None
    approval_code: str | None = None
    resume_approval: int | None = None
    cancel_requested: bool = False
    cancel_raced: bool = False
    outcome: str | None = None
    error: str | None = None
    summary: str | None = None
    session_id: str | None = None
    session_node: str | None = None
    sticky: bool = False
    wait_until: float | None = None
    wait_told: bool = False
    avoid_node: str | None = None
    rounds: int = 0
    notices: str = "[]"
    cost_usd: float = 0.0
    unknown_costs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    grants: tuple[GrantRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One run. `lease_until` is renewed by heartbeats and is None once it ended; `stop` is why the
    hub has it ended though nobody cancelled its task."""

    fence: int
    task_id: int
    number: int
    node: str
    leased_at: float
    lease_until: float | None
    account: str
    instance_id: str | None = None
    runner: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    outcome: str | None = None
    error: str | None = None
    session_id: str | None = None
    cost_usd: float | None = None
    partial: bool = False
    notices: str = "[]"
    result_hash: str | None = None
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class BreakerRecord:
    """A node's circuit breaker; see `hubd.domain.breaker` for its rules."""

    node: str
    state: BreakerState = BreakerState.CLOSED
    fails: int = 0
    window_start: float | None = None
    opens: int = 0
    until: float | None = None
    probe_fence: int | None = None
    probe_until: float | None = None
    reason: str | None = None
    evidence: tuple[str, ...] = ()
    opened_at: float | None = None
    healthy_since: float | None = None
    changed_at: float | None = None


UNSAID = NodeFacts()


@dataclass(frozen=True, slots=True)
class NodeRecord:
    name: str
    slots: int
    registered_at: float
    labels: tuple[str, ...] = ()
    specialists: tuple[str, ...] = ()
    runners: tuple[str, ...] = ()
    account: str | None = None
    version: str | None = None
    instance_id: str | None = None
    facts: NodeFacts = UNSAID
    accepting: bool = True
    not_accepting_reason: str | None = None
    draining: bool = False
    drain_note: str | None = None
    drain_until: float | None = None
    heartbeat_at: float | None = None
    success: float = 1.0
    leaving: Leaving | None = None

    @property
    def absence(self) -> str:
        """What it is when its heartbeats stopped."""
        match self.leaving:
            case Leaving.SLEEPING:
                return "asleep"
            case Leaving.STOPPING:
                return "stopped"
        return "silent"

    @property
    def account_name(self) -> str:
        """The login it uses; a node that names none has one of its own."""
        return self.account or self.name

    def model_of(self, specialist: str | None) -> str | None:
        """The class of model it gives to a task that names none; None when it does not say."""
        named = self.facts.models.get(specialist or "", self.facts.model)
        return None if named is None else model_class(named)

    def project(self, name: str) -> ProjectFacts | None:
        """What it says of that project. A node of a version that does not name its projects may
        have any."""
        if self.facts.projects is None:
            return ProjectFacts(name=name)
        wanted = name.casefold()  # two owners' files may spell it in two ways
        return next((p for p in self.facts.projects if p.name.casefold() == wanted), None)


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A login, or its share on one `node` or of one class of models; see `hubd.domain.accounts`.

    `restarting` is set from a pause's end until its staggered restart is over. `pauses` counts the
    troubles in a row. `local`: another node was let in since this one lost the login.
    """

    name: str
    account: str | None = None
    node: str | None = None
    model: str | None = None
    state: AccountState = AccountState.OK
    paused_until: float | None = None
    reason: str | None = None
    pauses: int = 0
    restarting: bool = False
    probe_fence: int | None = None
    probe_until: float | None = None
    next_start_at: float | None = None
    ramp_left: int = 0
    local: bool = False
    changed_at: float | None = None

    @property
    def login(self) -> str:
        """The account it belongs to; rows of older hubs are whole accounts."""
        return self.account or self.name


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    id: int
    code: str
    kind: ApprovalKind
    summary: str
    asked_at: float
    state: ApprovalState = ApprovalState.PENDING
    task_id: int | None = None
    fence: int | None = None
    node: str | None = None
    ask_id: str | None = None
    tool: str | None = None
    detail: str = ""
    choices: tuple[str, ...] = ()
    digest: str = ""
    risk: Risk = Risk.NORMAL
    chat: str | None = None
    day: str | None = None
    answered_at: float | None = None
    answered_by: str | None = None
    answered_via: str | None = None
    note: str | None = None
    answer: str | None = None
    delivered: bool = False
    rules: tuple[str, ...] = ()
    scope: Reach = Reach.ONCE
