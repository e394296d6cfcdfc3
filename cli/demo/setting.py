"""What a demo is made of: its machines, its configuration and its environment."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.setup.toml_file import render
from common.paths import MeshPaths, make_private_dir, write_private_file

OWNER = "+15555550100"
"""A number set aside for fiction: the demo's iPhone."""

NODES = {"Archon": 5, "Rex": 2, "Crucible": 3}
"""The demo's machines and their slots."""

_PASSED_ON = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "SHELL", "TZ", "TERM")
_FOR_A_SCREEN = ("COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "NO_COLOR")


@dataclass(frozen=True, slots=True)
class Setting:
    """One demo. `claude` is the CLI's path, or None for the rehearsal."""

    home: Path
    port: int
    claude: str | None

    @property
    def paths(self) -> MeshPaths:
        return MeshPaths(config_dir=self.home, state_dir=self.home)

    @property
    def messages_dir(self) -> Path:
        return self.home / "messages"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def runner(self) -> str:
        return "claude" if self.claude else "rehearsal"

    def environment(self, own: Mapping[str, str], *, screen: bool = False) -> dict[str, str]:
        """Built from nothing, so that no setting of the person's own mesh reaches the demo."""
        names = _PASSED_ON + (_FOR_A_SCREEN if screen else ())
        return {name: own[name] for name in names if name in own} | {"MESH_HOME": str(self.home)}

    def node_environment(self, own: Mapping[str, str], name: str) -> dict[str, str]:
        return self.environment(own) | {
            "MESH_AGENT__NAME": name,
            "MESH_AGENT__SLOTS": str(NODES[name]),
        }

    def write_config(self) -> None:
        make_private_dir(self.paths.logs_dir)
        write_private_file(self.paths.config_file, render(self.tables()))

    def tables(self) -> dict[str, dict[str, Any]]:
        agent: dict[str, Any] = {
            "runner": self.runner,
            "labels": ["demo"],
            "min_free_mb": 100,
            "drain_s": 0.0,
            "keep_awake": "never",
        }
        if self.claude:
            agent["claude"] = self.claude
        return {
            "hub": {"run": True, "bind": f"127.0.0.1:{self.port}", "backup_every_s": 0.0},
            "agent": agent,
            "bridge": {
                "chat_db": str(self.messages_dir / "chat.db"),
                "osascript": str(self.messages_dir / "osascript"),
                "poll_ms": 50,
                "allow": [OWNER],
                "max_per_minute": 60,
            },
            "tui": {"notify": False},
            "budget": {"per_task_usd": 0.5, "per_day_usd": 5.0},
        }


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
