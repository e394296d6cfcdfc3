"""What this machine runs, by its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CliError, SetUpError
from cli.programs import program
from common.config import LoadedConfig
from common.names import default_node_name

HUBD, AGENTD, IMSGD = "hubd", "agentd", "imsgd"
DAEMONS = (HUBD, AGENTD, IMSGD)

HURRIED_STOP_S = 10.0
"""A daemon that had so long to end is killed; an agent first gets its own time to drain."""

_NOT_FOR_DAEMONS = ("MESH_TOKEN", "MESH_TOKEN_FILE")


@dataclass(frozen=True, slots=True)
class Daemon:
    """One daemon: how it is started, which lock it holds, how long its stop may take."""

    name: str
    argv: tuple[str, ...]
    lock_file: Path
    stop_s: float = HURRIED_STOP_S


def plan(loaded: LoadedConfig) -> list[Daemon]:
    """The daemons in the order in which they are started; SetUpError when there are none."""
    config, paths = loaded.config, loaded.paths
    wanted: list[Daemon] = []
    if config.hub.run:
        wanted.append(Daemon(HUBD, tuple(program(HUBD)), paths.lock_file(HUBD)))
    if config.agent.run:
        lock = paths.lock_file(f"{AGENTD}-{config.agent.name or default_node_name()}")
        stop_s = config.agent.drain_s + HURRIED_STOP_S
        wanted.append(Daemon(AGENTD, tuple(program(AGENTD)), lock, stop_s))
    if config.bridge.run:
        wanted.append(Daemon(IMSGD, tuple(program(IMSGD)), paths.lock_file(IMSGD)))
    if not wanted:
        raise SetUpError(
            f"this machine runs nothing: set hub.run, agent.run or bridge.run in "
            f"{paths.config_file}, or write it with: mesh init"
        )
    return wanted


def chosen(names: tuple[str, ...], daemons: list[Daemon]) -> list[str]:
    """The names asked for, all when none; CliError for one that does not run here."""
    here = [daemon.name for daemon in daemons]
    for name in names:
        if name not in here:
            raise CliError(f"{name} does not run on this machine; here run: {', '.join(here)}.")
    return list(names) or here


def daemon_environment(env: Mapping[str, str]) -> dict[str, str]:
    """A person's token would be taken for the daemon's own: each finds its own file."""
    return {name: value for name, value in env.items() if name not in _NOT_FOR_DAEMONS}
