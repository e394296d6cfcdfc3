"""Which daemons run, by their locks; what they listen on; what was left behind."""

from __future__ import annotations

from pathlib import Path

import psutil

from cli.doctor.facts import Daemons, Here, LockFile
from cli.errors import SetUpError
from cli.parent.plan import AGENTD, HUBD, plan
from cli.parent.record import lock_holder
from cli.parent.wishes import stopped
from common.config import LoadedConfig

ATTEMPT_MARK = "MESH_ATTEMPT"
"""In the environment of every process of a task."""


def daemons(here: Here) -> Daemons:
    state = here.paths.state_dir
    locks = {path: _read(path) for path in sorted(state.glob("*.lock"))}
    wanted = {daemon.name: locks.get(daemon.lock_file) for daemon in _planned(here)}
    hub = locks.get(here.paths.lock_file(HUBD))
    agents = [lock for path, lock in locks.items() if path.name.startswith(AGENTD) and lock.alive]
    return Daemons(
        locks=tuple(locks.values()),
        wanted=wanted,
        stopped_by_hand=frozenset(stopped(here.paths)),
        listening=_listening(int(hub.pid)) if hub and hub.alive else (),
        orphans=() if agents else _orphans(here),
    )


def _planned(here: Here) -> list:  # type: ignore[type-arg]
    if here.config is None:
        return []
    try:
        return plan(LoadedConfig(here.config, here.paths, {}))
    except SetUpError:
        return []


def _read(path: Path) -> LockFile:
    try:
        pid = path.read_text("utf-8", "replace").strip()[:20]
    except OSError:
        pid = ""
    return LockFile(path, pid, alive=lock_holder(path) is not None)


def _listening(pid: int) -> tuple[str, ...]:
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return ()
    found = {
        f"[{c.laddr.ip}]:{c.laddr.port}" if ":" in c.laddr.ip else f"{c.laddr.ip}:{c.laddr.port}"
        for c in connections
        if c.status == psutil.CONN_LISTEN
    }
    return tuple(sorted(found))


def _orphans(here: Here) -> tuple[int, ...]:
    """Processes of tasks of this mesh, by their working folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != _own_uid() or ATTEMPT_MARK not in process.environ():
                continue
            if Path(process.cwd()).is_relative_to(here.paths.work_dir):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return tuple(found)


def _own_uid() -> int:
    return int(psutil.Process().uids().real)
