"""Runners by name: ours, and third parties' by entry point `mesh.runners`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from agentd.errors import RunnerUnavailableError
from agentd.runners.claude import ClaudeRunner
from agentd.runners.claude_launch import ClaudeSettings
from agentd.runners.protocol import Runner
from agentd.runners.rehearsal import RehearsalRunner
from common.config import AgentConfig

GROUP = "mesh.runners"

OURS = ("claude", "rehearsal")


def make_runner(agent: AgentConfig, env: Mapping[str, str], *, new_id: Callable[[], str]) -> Runner:
    """The runner `agent.runner` names; RunnerUnavailableError when there is none of that name."""
    match agent.runner:
        case "claude":
            settings = ClaudeSettings(
                program=agent.claude,
                model=agent.model,
                permission_mode=agent.permission_mode,
                allowed_tools=tuple(agent.allowed_tools),
            )
            return ClaudeRunner(settings, environment={**env, **agent.env}, new_id=new_id)
        case "rehearsal":
            return RehearsalRunner(new_id=new_id)
    return _third_party(agent)


def _third_party(agent: AgentConfig) -> Runner:
    found = entry_points(group=GROUP)
    if agent.runner not in found.names:
        known = ", ".join(sorted({*OURS, *found.names}))
        raise RunnerUnavailableError(
            f"there is no runner named {agent.runner!r}. Set agent.runner to one of: {known}"
        )
    runner = found[agent.runner].load()(agent)
    if not isinstance(runner, Runner):
        raise RunnerUnavailableError(
            f"the runner {agent.runner!r} does not follow the runner protocol; see docs/RUNNERS.md"
        )
    return runner
