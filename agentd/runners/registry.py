"""Runners by name: ours, and third parties' by entry point `mesh.runners`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from agentd.errors import RunnerUnavailableError
from agentd.runners.claude import ClaudeRunner
from agentd.runners.claude_launch import ClaudeSettings
from agentd.runners.codex import CodexRunner, CodexSettings
from agentd.runners.command import CommandRunner
from agentd.runners.protocol import Runner
from agentd.runners.rehearsal import RehearsalRunner
from common.config import AgentConfig

GROUP = "mesh.runners"

CLAUDE_ALIASES = ("sonnet", "opus", "haiku")
"""Values of `agent.model` that mean nothing to another runner; the first is the default."""

OURS = ("claude", "codex", "command", "rehearsal")


def make_runner(
    agent: AgentConfig,
    env: Mapping[str, str],
    *,
    memory: Path,
    new_id: Callable[[], str],
    secrets: tuple[str, ...] = (),
) -> Runner:
    """The runner `agent.runner` names; RunnerUnavailableError when there is none of that name.

    `memory` is a folder in which a runner may keep what it must know at its next start; `secrets`
    are paths that no task needs to read.
    """
    match agent.runner:
        case "claude":
            settings = ClaudeSettings(
                program=agent.claude,
                model=agent.model,
                permission_mode=agent.permission_mode,
                allowed_tools=tuple(agent.allowed_tools),
                sandbox=agent.sandbox,
                sandbox_write=tuple(agent.sandbox_write),
                sandbox_network=tuple(agent.sandbox_network),
                setting_sources=agent.setting_sources,
                secrets=secrets,
            )
            return ClaudeRunner(
                settings,
                environment={**env, **agent.env},
                new_id=new_id,
                memory=memory / "claude",
            )
        case "codex":
            codex = CodexSettings(
                program=agent.codex,
                model="" if agent.model in CLAUDE_ALIASES else agent.model,
                permission_mode=agent.permission_mode,
                memory=memory / "codex",
            )
            return CodexRunner(codex, environment={**env, **agent.env})
        case "command":
            return CommandRunner(agent.command, environment={**env, **agent.env})
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
