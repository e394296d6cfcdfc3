"""What a node tells the hub of its models, so that one model's limit stops only what uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentd.runners.registry import CLAUDE_ALIASES
from agentd.specialists import Specialist
from common.config import AgentConfig


def model_facts(agent: AgentConfig, specialists: Mapping[str, Specialist]) -> dict[str, Any]:
    """`model`: what a task runs on that names none; `models`: what its specialist names instead."""
    match agent.runner:
        case "claude":
            named = {
                name: member.model
                for name, member in sorted(specialists.items())
                if member.model not in (None, "inherit")
            }
            return {"model": agent.model, "models": named}
        case "codex":
            return {"model": "" if agent.model in CLAUDE_ALIASES else agent.model}
    return {}
