"""Property lists with which launchd keeps the hub and the agent running, and how they are loaded.

The bridge is not among them: it needs Full Disk Access, which macOS gives to an application and
whatever that started. A launchd job stands for itself, so for it the interpreter would have to be
granted, and again after each of its updates.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import SetUpError
from cli.parent.log_files import log_file
from common.paths import MeshPaths, make_private_dir, write_private_file

PASSED_ON = ("PATH", "LANG", "MESH_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""What a job gets of the environment it is installed from: where programs and files are."""

LAUNCHCTL_S = 20.0
RESTART_S = 30
EXIT_GRACE_S = 20

_NOT_LOADED = 3
"""launchctl's exit code for a job it does not know (ESRCH)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One daemon as launchd shall run it. `drain_s`: how long it may take to end."""

    daemon: str
    argv: tuple[str, ...]
    drain_s: float = 0.0

    @property
    def label(self) -> str:
        return f"mesh.{self.daemon}"


def property_list(job: Job, paths: MeshPaths, env: Mapping[str, str]) -> dict[str, Any]:
    """What launchd reads. A clean end stays one; anything else is started again."""
    return {
        "Label": job.label,
        "ProgramArguments": list(job.argv),
        "EnvironmentVariables": {name: env[name] for name in PASSED_ON if env.get(name)},
        "WorkingDirectory": "/",
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": RESTART_S,
        "ExitTimeOut": EXIT_GRACE_S + int(job.drain_s),
        "Umask": 0o077,
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": str(log_file(paths.logs_dir, job.daemon)),
    }


def folder(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or Path.home()) / "Library" / "LaunchAgents"


def plist_file(job: Job, env: Mapping[str, str]) -> Path:
    return folder(env) / f"{job.label}.plist"


def find_launchctl(env: Mapping[str, str]) -> str:
    """Raises SetUpError where there is none."""
    found = shutil.which("launchctl", path=env.get("PATH"))
    if found is None:
        raise SetUpError(
            "there is no launchctl here: launchd is part of macOS. On Linux use the systemd unit "
            "in deploy/ (docs/DEPLOY.md); to see the property lists: mesh install launchd --print"
        )
    return found


def install(
    jobs: Sequence[Job], paths: MeshPaths, env: Mapping[str, str], launchctl: str
) -> list[Path]:
    """Write and load each job anew; returns their files. Raises SetUpError."""
    make_private_dir(paths.logs_dir)
    written = []
    for job in jobs:
        file = plist_file(job, env)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private_file(file, plistlib.dumps(property_list(job, paths, env)).decode())
        _unload(launchctl, job)
        _run(launchctl, "bootstrap", _domain(), str(file))
        written.append(file)
    return written


def uninstall(jobs: Sequence[Job], env: Mapping[str, str], launchctl: str) -> list[Path]:
    """Stop the jobs and remove their files; returns those removed."""
    removed = []
    for job in jobs:
        file = plist_file(job, env)
        if file.exists():
            _unload(launchctl, job)
            file.unlink()
            removed.append(file)
    return removed


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _unload(launchctl: str, job: Job) -> None:
    _run(launchctl, "bootout", f"{_domain()}/{job.label}", accepted=(0, _NOT_LOADED))


def _run(launchctl: str, *arguments: str, accepted: tuple[int, ...] = (0,)) -> None:
    try:
        done = subprocess.run(
            [launchctl, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LAUNCHCTL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetUpError(f"launchctl {arguments[0]} did not work: {error}") from error
    if done.returncode not in accepted:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise SetUpError(
            f"launchctl {' '.join(arguments)} failed: {said}. "
            "Run this in a terminal on the Mac itself, not over ssh"
        )
