"""The token files of this machine, filled by the hub's own tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.programs import program, run_tool
from common.config import Config
from common.names import default_node_name
from common.paths import MeshPaths, make_private_dir, write_private_file
from common.wire.admin import Role


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token some program of this machine will look for."""

    role: Role
    name: str | None = None

    def file(self, paths: MeshPaths) -> Path:
        return paths.token_file(self.role, self.name)


def wanted_tokens(config: Config) -> list[Wanted]:
    """One for the person, and one for each daemon that runs here."""
    wanted = [Wanted(Role.OPERATOR)]
    if config.agent.run:
        wanted.append(Wanted(Role.NODE, config.agent.name or default_node_name()))
    if config.bridge.run:
        wanted.append(Wanted(Role.BRIDGE))
    return wanted


def issue_on_database(env: Mapping[str, str], wanted: Wanted, *options: str) -> str:
    """A new token from `mesh-hubd token new`, which needs no running hub."""
    named = ["--name", wanted.name] if wanted.name else []
    argv = program("hubd", "token", "new", "--role", wanted.role, *named, *options)
    return run_tool(argv, env, what="mesh-hubd token new").strip()


def issue_missing(env: Mapping[str, str], paths: MeshPaths, config: Config) -> list[Path]:
    """Write the token files that are missing, mode 0600; returns those written."""
    written = []
    for wanted in wanted_tokens(config):
        file = wanted.file(paths)
        if file.exists():
            continue
        make_private_dir(paths.tokens_dir)
        write_private_file(file, issue_on_database(env, wanted) + "\n")
        written.append(file)
    return written
