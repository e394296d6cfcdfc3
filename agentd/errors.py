"""What can be wrong with a node, said to the person who has to repair it."""

from __future__ import annotations

from common.errors import EXIT_CONFIG, MeshError


class AgentError(MeshError):
    """Base of agentd's own errors."""

    code = "agent"


class UnfitError(AgentError):
    """A program this node needs is not there or cannot be run: it takes no work until it is."""

    code = "unfit"


class RunnerUnavailableError(UnfitError):
    """The configured runner cannot work on this machine until somebody repairs it."""

    code = "runner_unavailable"
    exit_code = EXIT_CONFIG


class SpecialistError(AgentError):
    """A specialist's file cannot be used, or no specialist has that name."""

    code = "specialist"
    exit_code = EXIT_CONFIG


class TaskError(AgentError):
    """The task itself cannot be run as it is, here or elsewhere; no retry."""

    code = "task"


class WorkspaceError(AgentError):
    """The folder an attempt needs could not be made: a fault of this node."""

    code = "workspace"


class ProjectError(AgentError):
    """The owner has to repair a project or its folder; no node fault, and no retry."""

    code = "project"


class SpawnError(AgentError):
    """The runner's program could not be started at all: a fault of this node."""

    code = "spawn"
