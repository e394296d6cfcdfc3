"""Claude Code's sandbox as `--settings`: what its shell commands may write, read and reach.

The sandbox is the boundary, so that inside it no command needs a question. What cannot be done
inside is asked about, or never done where the owner said `on`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentd.errors import WorkspaceError
from agentd.git import Git
from agentd.secrets import ENVIRONMENT
from common.paths import make_private_dir, write_private_file

LOCALHOST = "localhost"
"""As a host in `sandbox_network`: this machine's own ports. On Linux a sandbox has its own."""

STUBS = (
    ".bash_profile",
    ".bashrc",
    *(
        f".claude/{name}"
        for name in (
            ".cc-writes",
            "agents",
            "commands",
            "hooks",
            "launch.json",
            "loop.md",
            "output-styles",
            "routines",
            "scheduled_tasks.json",
            "settings.json",
            "settings.local.json",
            "skills",
            "workflows",
        )
    ),
    ".gitconfig",
    ".gitmodules",
    ".idea",
    ".mcp.json",
    ".profile",
    ".ripgreprc",
    ".vscode",
    ".zprofile",
    ".zshrc",
)
"""On Linux the sandbox puts a device file over each of these that does not exist in the folder,
and `git add -A` fails at the first (anthropics/claude-code#78419)."""


def sandbox_settings(
    *,
    strict: bool,
    write: Sequence[str] = (),
    network: Sequence[str] = (),
    secrets: Sequence[str] = (),
) -> dict[str, Any]:
    """`strict`: nothing runs outside, not even after a question."""
    hosts = list(dict.fromkeys(network))
    # Over what is not there the sandbox would lay an empty file.
    secrets = [path for path in secrets if Path(path).exists()]
    return {
        # A rule against reading binds Claude's own tools as well as what runs in the sandbox.
        "permissions": {"deny": [f"Read(/{path}{end})" for path in secrets for end in ("", "/**")]},
        "sandbox": {
            "enabled": True,
            "failIfUnavailable": True,
            "autoAllowBashIfSandboxed": True,
            "allowUnsandboxedCommands": not strict,
            # Said outright, so that no other settings file says otherwise.
            "allowNestedUserNamespaces": False,
            "allowAppleEvents": False,
            "filesystem": {
                "disabled": False,
                "allowWrite": list(dict.fromkeys(write)),
                "denyRead": secrets,
            },
            "network": {
                "allowedDomains": hosts,
                # A host that is not listed is refused; without this it is a question each time.
                "strictAllowlist": True,
                "allowAllUnixSockets": False,
                "allowLocalBinding": LOCALHOST in hosts,
            },
            "credentials": {"envVars": [{"name": name, "mode": "deny"} for name in ENVIRONMENT]},
        },
    }


TEMPORARY_CHARS = 60
"""The sandbox makes sockets in the temporary folder, and a socket's path has room for 107 bytes."""


def with_short_temporary(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with a temporary folder in which a socket's path has room."""
    if len(os.fsencode(environment.get("TMPDIR", ""))) <= TEMPORARY_CHARS:
        return dict(environment)
    return {**environment, "TMPDIR": "/tmp"}


async def owner_ignores(environment: Mapping[str, str], folder: Path) -> str:
    """The text of the owner's own list of what git ignores everywhere, empty if there is none."""
    try:
        git = Git.found(environment)
        code, named, _ = await git.attempt(folder, "config", "--path", "--get", "core.excludesFile")
    except WorkspaceError:
        return ""
    home = Path(environment.get("HOME") or Path.home())
    configured = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "ignore"
    file = Path(named.strip()) if code == 0 and named.strip() else configured
    try:
        return await asyncio.to_thread(file.read_text, encoding="utf-8", errors="replace")
    except OSError:
        return ""


def without_stubs(
    environment: Mapping[str, str], folder: Path, memory: Path, owner_ignores: str
) -> dict[str, str]:
    """The environment in which git does not see the sandbox's stubs in `folder`.

    What exists there is not ignored. `owner_ignores`, the text of the owner's own list, is kept,
    because git reads one such file only.
    """
    stubs = [f"/{name}" for name in STUBS if not (folder / name).exists()]
    text = "\n".join([owner_ignores.rstrip("\n"), *stubs, ""]).lstrip("\n")
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = make_private_dir(memory) / f"ignored-{name}"
    if not file.exists():
        write_private_file(file, text)
    count = int(environment.get("GIT_CONFIG_COUNT") or 0)
    return {
        **environment,
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": "core.excludesFile",
        f"GIT_CONFIG_VALUE_{count}": str(file),
    }
