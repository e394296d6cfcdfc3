"""What can be wrong with a node, said to the person who has to mend it."""

from __future__ import annotations

from common.errors import EXIT_CONFIG, MeshError


class AgentError(MeshError):
    """Base of agentd's own errors."""

    code = "agent"


class RunnerUnavailableError(AgentError):
    """The configured runner cannot work on this machine until somebody mends it."""

    code = "runner_unavailable"
    exit_code = EXIT_CONFIG


class SpecialistError(AgentError):
    """A specialist's file cannot be used, or no specialist has that name."""

    code = "specialist"
    exit_code = EXIT_CONFIG


class WorkspaceError(AgentError):
    """The folder an attempt needs could not be made."""

    code = "workspace"


class ProjectError(AgentError):
    """The project a task names is not as `agent.projects` says; no node fault, and no retry."""

    code = "project"


class SpawnError(AgentError):
    """The runner's program could not be started at all: a fault of this node."""

    code = "spawn"
