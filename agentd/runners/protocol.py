"""The runner protocol: start an attempt, follow its events, answer it, interrupt it, kill it.

A run yields any number of events and then exactly one `Ended`, whatever happens to its process.
How each end is classified is DESIGN §6; docs/RUNNERS.md explains how to write a runner.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from agentd.leave import NO_LEAVE, Leave
from agentd.specialists import Specialist
from common.wire.nodes import ResumeAnswer, Scope
from common.wire.notices import Notice
from common.wire.tasks import Cap, Outcome, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt as a runner needs it.

    `prompt` is what to say first: the task, or that it was interrupted. `environment` is complete:
    a runner adds to it, and never reads its own process's. `session_id` is a session to resume;
    `resume` is the answer for which that session was parked, and is dropped without it. A new
    session gets `new_session_id` where the runner can choose (`NamesSessions`); `message_id` (a
    UUID) names what is said first.
    """

    fence: int
    prompt: str
    folder: Path
    environment: Mapping[str, str]
    specialist: Specialist | None = None
    model: str | None = None
    session_id: str | None = None
    new_session_id: str | None = None
    message_id: str | None = None
    resume: ResumeAnswer | None = None
    max_cost_usd: float | None = None
    max_turns: int | None = None
    trust_project: bool = False
    leave: Leave = NO_LEAVE

    def __post_init__(self) -> None:
        # Only the session that asked can go on from the answer. Anywhere else the task starts from
        # its own prompt, and a yes may have been used up by the attempt that was lost: ask again.
        if self.session_id is None:
            object.__setattr__(self, "resume", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """The runner's own session, known before anything could be lost."""

    session_id: str
    model: str | None = None
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextSaid:
    """A piece of the answer as it is written; `thinking` marks the part that is not the answer."""

    text: str
    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    tool_id: str
    tool: str
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnded:
    tool_id: str
    tool: str = ""
    text: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested:
    """The run stands still until `answer(request_id, …)`.

    `detail` names the call in full: an approval is bound to it and to nothing else. `high_risk`:
    the runner knows it for one, whatever its words. `rules`: those of the runner that would cover
    the call and its like.
    """

    request_id: str
    kind: Literal["tool", "question"]
    summary: str
    detail: str = ""
    tool: str | None = None
    choices: tuple[str, ...] = ()
    high_risk: bool = False
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalWithdrawn:
    """The run no longer waits for this answer."""

    request_id: str


@dataclass(frozen=True, slots=True)
class UsageSeen:
    """What the run has used so far, all models; each report replaces the one before."""

    usage: tuple[Usage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryNoticed:
    """The runner retries by itself; `status` is the HTTP status, None for a network failure."""

    attempt: int
    of: int
    delay_s: float
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LimitNoticed:
    """The provider's usage limit is reached until `resets_at`."""

    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something about the run that whoever watches should know and that is no failure, such as that
    the remote was not reached."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended. `cost_usd` is the runner's own figure; None when nobody knows.

    `partial` says that `usage` is what was seen before the end, not the runner's final account;
    `final` that trying the same again would only cost the same again; `session_gone` that the
    session to resume is not known any more, and so nothing was said or done; `capped` that one of
    the limits it was given ended it, in the middle of its work. `scope` and `limited_model` say
    whom a provider's refusal concerns, where the program knows. `unfit`: the program cannot be run
    on this node now, and has done nothing. `notices` are what it had to do without: with an answer
    that is less than a whole one it is no plain success.
    """

    outcome: Outcome
    text: str = ""
    error: str | None = None
    session_id: str | None = None
    usage: tuple[Usage, ...] = ()
    cost_usd: float | None = None
    resets_at: datetime | None = None
    scope: Scope | None = None
    limited_model: str | None = None
    unfit: bool = False
    partial: bool = False
    final: bool = False
    session_gone: bool = False
    capped: Cap | None = None
    notices: tuple[Notice, ...] = ()


Event = (
    SessionStarted
    | TextSaid
    | ToolStarted
    | ToolEnded
    | ApprovalRequested
    | ApprovalWithdrawn
    | UsageSeen
    | RetryNoticed
    | LimitNoticed
    | Noticed
    | Ended
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's answer: `text` is the choice made for a question, or the reason of a no."""

    allow: bool
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RunnerFacts:
    """What a runner found out about itself, for display: program path, version … `refusal`: why
    this node must take no work although the runner is there, with the remedy."""

    facts: dict[str, Any] = field(default_factory=dict)
    refusal: str | None = None


class Run(Protocol):
    """One attempt in progress."""

    def events(self) -> AsyncGenerator[Event, None]:
        """Yield what happens; the last event, and only the last, is an `Ended`."""
        ...

    async def answer(self, request_id: str, answer: Answer) -> None:
        """Answer an `ApprovalRequested`; an unknown or withdrawn id is ignored."""
        ...

    async def interrupt(self) -> None:
        """Ask the run to stop and to say what it used; returns at once."""
        ...

    async def kill(self, *, grace_s: float) -> None:
        """End its whole process group: TERM, after `grace_s` KILL. Returns when it is gone."""
        ...


@runtime_checkable
class Runner(Protocol):
    """A way to execute attempts."""

    @property
    def name(self) -> str:
        """Shown in the hub and written in `agent.runner`."""
        ...

    async def check(self) -> RunnerFacts:
        """Find out whether it can work here; raises RunnerUnavailableError with the remedy."""
        ...

    async def start(self, job: Job) -> Run:
        """Begin an attempt; raises UnfitError when its program cannot be run here now, SpawnError
        when the system refuses to start anything, TaskError when the task is at fault."""
        ...


@runtime_checkable
class FindsItself(Protocol):
    """A runner that looks for its program before every start."""

    async def find(self) -> object:
        """Quick when nothing moved; raises RunnerUnavailableError with the remedy."""
        ...


@runtime_checkable
class NamesSessions(Protocol):
    """A runner whose new sessions get the id that is given to them.

    So the id is on disk before anything runs, and a killed agentd finds the session again.
    """

    def new_session_id(self) -> str:
        """An id for a new session."""
        ...

    def has_heard(
        self, session_id: str, message_id: str, environment: Mapping[str, str]
    ) -> bool | None:
        """Whether the session holds that message, by the runner's own record; None: no record."""
        ...

    def recorded_usage(
        self, session_id: str, message_id: str, environment: Mapping[str, str]
    ) -> tuple[Usage, ...]:
        """What was used from that message on, by the same record; empty where there is none."""
        ...


@runtime_checkable
class HasProcess(Protocol):
    """A run that is one process and what it starts."""

    @property
    def pid(self) -> int: ...
