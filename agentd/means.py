"""What every attempt of a node shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentd.attachments import FileSource
from agentd.fitness import Fitness
from agentd.journal import Journal
from agentd.output import OutputSink
from agentd.questions import QuestionSink
from agentd.runners.protocol import Runner
from agentd.specialists import Specialist
from agentd.spool import Spool
from agentd.workspace import Workspace
from common.clock import Clock
from common.wire.nodes import Applied, StartAttempt


class AttemptHub(FileSource, OutputSink, QuestionSink, Protocol):
    """What an attempt says to the hub; its result goes by the spool."""

    async def start(self, fence: int, start: StartAttempt) -> Applied: ...

    async def release(self, fence: int) -> Applied: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Grace before an interrupt becomes a kill, and before TERM becomes KILL."""

    interrupt_s: float = 5.0
    term_s: float = 5.0
    hurried_interrupt_s: float = 0.5
    hurried_term_s: float = 0.4
    last_word_s: float = 10.0
    """For a run to say how it ended, once it was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds an attempt unless its task says otherwise; cost is the task's alone."""

    timeout_s: float
    silence_s: float
    park_after_s: float
    max_turns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every attempt of this node shares."""

    node: str
    hub: AttemptHub
    runner: Runner
    spool: Spool
    journal: Journal
    workspace: Workspace
    clock: Clock
    specialists: Mapping[str, Specialist]
    environment: Mapping[str, str]
    configured_env: Mapping[str, str]
    agent_mark: str
    limits: Limits
    fitness: Fitness
    broken_specialists: Mapping[str, str] = field(default_factory=dict)
    """Files that cannot be used, by name, with what is wrong with them."""
    patience: Patience = Patience()
