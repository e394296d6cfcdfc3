"""What may happen without a question, as configured: tool rules, folders, hosts.

A rule that cannot match says nothing and does nothing, and its owner would only see that they are
still asked: so what can be known to be wrong is refused when it is loaded.
"""

from __future__ import annotations

import difflib
import re

from common.config.schema import AgentConfig
from common.errors import ConfigError

TOOLS = (
    "Agent",
    "Bash",
    "Edit",
    "Glob",
    "Grep",
    "NotebookEdit",
    "Read",
    "Skill",
    "Task",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Write",
)
"""Names that are mistyped often enough to be held against; others are taken as they are."""

_RULE = re.compile(r"(?P<tool>[A-Za-z][A-Za-z0-9_-]*)(?:\((?P<content>.+)\))?", re.DOTALL)
_HOST = re.compile(
    r"\*|(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.I
)
_EVERYTHING = re.compile(r"(/|~)/*")


def check_leave(agent: AgentConfig) -> None:
    """Raises ConfigError with the key and what to write instead."""
    for rule in agent.allowed_tools:
        check_rule("agent.allowed_tools", rule)
    _check_sandbox("agent", agent.sandbox_write, agent.sandbox_network)
    for name, project in agent.projects.items():
        where = f"agent.projects.{name}"
        for rule in project.allow:
            check_rule(f"{where}.allow", rule)
        _check_sandbox(where, project.sandbox_write, project.sandbox_network)


def check_rule(key: str, rule: str) -> None:
    """Raises ConfigError for what is no rule of Claude's, or names a tool nearly right."""
    match = _RULE.fullmatch(rule)
    if match is None:
        raise ConfigError(
            f"{key}: {rule!r} is not a tool rule; write a tool's name, or a name and what is"
            " allowed of it in brackets: Read, Bash(npm test:*), WebFetch(domain:example.com)"
        )
    tool = match["tool"]
    if tool in TOOLS or tool.startswith("mcp__"):
        return
    lower = {name.lower(): name for name in TOOLS}
    if near := difflib.get_close_matches(tool.lower(), lower, n=1, cutoff=0.75):
        meant = rule.replace(tool, lower[near[0]], 1)
        raise ConfigError(f"{key}: {rule!r} names no tool. Did you mean {meant}?")
    if not tool[0].isupper():
        raise ConfigError(f"{key}: {rule!r} names no tool; tools begin with a capital: Bash, Edit")


def _check_sandbox(where: str, write: list[str], network: list[str]) -> None:
    for folder in write:
        if not folder.startswith(("/", "~/")) and folder != "~":
            raise ConfigError(f"{where}.sandbox_write: {folder!r} must be a whole path, /… or ~/…")
        if _EVERYTHING.fullmatch(folder):
            raise ConfigError(
                f"{where}.sandbox_write: {folder!r} is everything you have. Name the folder that"
                ' is needed, or turn the sandbox off: agent.sandbox = "off"'
            )
    for host in network:
        if _HOST.fullmatch(host) is None:
            raise ConfigError(
                f"{where}.sandbox_network: {host!r} is not a host; write its name alone, without"
                " https:// and port: packages.example.com, *.example.com"
            )
