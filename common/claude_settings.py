"""What the owner's own Claude settings would let a run do that this mesh promises to ask about.

Rules that are meant (`Bash(npm test:*)`) count; rules for everything do not: at a desk somebody
watches, here a text from a phone decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RULE = re.compile(r"^\s*(?P<tool>[A-Za-z]+)\s*(?:\((?P<content>.*)\))?\s*$", re.DOTALL)
_WRITES = ("Edit", "Write", "MultiEdit", "NotebookEdit")
_EVERYWHERE = re.compile(r"^(?:\*|(?:/{1,2}|~|\$HOME)/?\*{0,2})$")
_EVERY_COMMAND = re.compile(r"^[:*\s]*$")


@dataclass(frozen=True, slots=True)
class OwnerSettings:
    """`too_wide`: entries for whose sake the whole file is left out. `excludes`: commands are
    named that Claude starts outside its sandbox."""

    too_wide: tuple[str, ...] = ()
    excludes: bool = False


NOTHING_SAID = OwnerSettings()


def settings_file(env: Mapping[str, str]) -> Path:
    """Where Claude Code looks for its user's settings."""
    folder = env.get("CLAUDE_CONFIG_DIR")
    home = Path(env.get("HOME") or Path.home())
    return (Path(folder) if folder else home / ".claude") / "settings.json"


def read_owner_settings(env: Mapping[str, str], *, sandboxed: bool) -> OwnerSettings:
    """Judge the file as it is now. One that is missing or unreadable to us says nothing."""
    try:
        settings = json.loads(settings_file(env).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return NOTHING_SAID
    return judge(settings, sandboxed=sandboxed)


def judge(settings: Any, *, sandboxed: bool) -> OwnerSettings:
    """In the sandbox a rule for every command is harmless, unless commands are taken out of it."""
    sandbox = _table(settings, "sandbox")
    excludes = bool(_words(sandbox, "excludedCommands"))
    confined = sandboxed and not excludes
    too_wide = [
        f"permissions.allow: {rule}"
        for rule in _words(_table(settings, "permissions"), "allow")
        if _is_too_wide(rule, confined=confined)
    ]
    network, filesystem = _table(sandbox, "network"), _table(sandbox, "filesystem")
    too_wide += [
        f"sandbox.network.allowedDomains: {host}"
        for host in _words(network, "allowedDomains")
        if host.strip() == "*"
    ]
    too_wide += [
        f"sandbox.filesystem.allowWrite: {path}"
        for path in _words(filesystem, "allowWrite")
        if _EVERYWHERE.match(path.strip())
    ]
    return OwnerSettings(tuple(too_wide), excludes)


def _is_too_wide(rule: str, *, confined: bool) -> bool:
    match = _RULE.match(rule)
    if match is None:
        return False
    tool, content = match["tool"], match["content"]
    if tool == "Bash":
        return not confined and (content is None or bool(_EVERY_COMMAND.match(content)))
    if tool in _WRITES:
        return content is None or bool(_EVERYWHERE.match(content.strip()))
    return False


def _table(settings: Any, key: str) -> dict[str, Any]:
    value = settings.get(key) if isinstance(settings, dict) else None
    return value if isinstance(value, dict) else {}


def _words(table: dict[str, Any], key: str) -> list[str]:
    value = table.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
