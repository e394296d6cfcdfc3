"""`mesh install launchd`, with a stand-in for launchctl that notes how it is called."""

from __future__ import annotations

import os
import plistlib
import stat
from pathlib import Path

import pytest

from tests.contract.cli_ops.conftest import Mesh


class Launchctl:
    """Notes its arguments; ends as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._notes = folder / "calls"
        self.answers("case $1 in bootout) exit 3;; esac")

    def answers(self, script: str) -> None:
        program = self.folder / "launchctl"
        program.write_text(f'#!/bin/sh\necho "$*" >> "{self._notes}"\n{script}\n')
        program.chmod(0o755)

    def calls(self) -> list[str]:
        return self._notes.read_text().splitlines()


@pytest.fixture
def launchctl(tmp_path: Path, clean_env: dict[str, str]) -> Launchctl:
    found = Launchctl(tmp_path / "bin")
    clean_env["PATH"] = f"{found.folder}:{clean_env['PATH']}"
    return found


def _configure(mesh: Mesh, text: str) -> None:
    file = mesh.home / "mesh.toml"
    file.write_text(text)
    file.chmod(0o600)


def _agents(mesh: Mesh) -> Path:
    return Path(mesh.env["HOME"]) / "Library" / "LaunchAgents"


def test_what_the_machine_runs_is_loaded_and_the_consequence_told(
    mesh: Mesh, launchctl: Launchctl
) -> None:
    _configure(
        mesh, "[hub]\nrun = true\n[agent]\nrun = true\ndrain_s = 600\n[bridge]\nrun = true\n"
    )
    done = mesh("install", "launchd")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("Full Disk Access", "Ghostty", "bridge"):
        assert word in done.stdout
    files = sorted(file.name for file in _agents(mesh).iterdir())
    assert files == ["mesh.agentd.plist", "mesh.hubd.plist"]
    agent = plistlib.loads((_agents(mesh) / "mesh.agentd.plist").read_bytes())
    assert agent["ProgramArguments"][-2:] == ["-m", "agentd"]
    assert agent["EnvironmentVariables"]["MESH_HOME"] == str(mesh.home)
    assert agent["ExitTimeOut"] > 600
    assert agent["Umask"] == 0o077
    mode = (_agents(mesh) / "mesh.agentd.plist").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    domain = f"gui/{os.getuid()}"
    assert launchctl.calls() == [
        f"bootout {domain}/mesh.hubd",
        f"bootstrap {domain} {_agents(mesh)}/mesh.hubd.plist",
        f"bootout {domain}/mesh.agentd",
        f"bootstrap {domain} {_agents(mesh)}/mesh.agentd.plist",
    ]


def test_no_secret_of_the_shell_gets_into_the_property_list(
    mesh: Mesh, launchctl: Launchctl
) -> None:
    _configure(mesh, "[agent]\nrun = true\n")
    secret = "mesh_operator_canary_0123456789012345678901234567890123456789012"
    mesh("install", "launchd", env={"MESH_TOKEN": secret, "ANTHROPIC_API_KEY": secret})
    (file,) = _agents(mesh).iterdir()
    assert secret not in file.read_text()


def test_uninstall_stops_and_removes_what_was_installed(mesh: Mesh, launchctl: Launchctl) -> None:
    _configure(mesh, "[hub]\nrun = true\n")
    mesh("install", "launchd")
    other = _agents(mesh) / "somebody.else.plist"
    other.write_text("")
    launchctl.answers("exit 0")
    done = mesh("uninstall", "launchd")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(_agents(mesh).iterdir()) == [other]
    assert launchctl.calls()[-1] == f"bootout gui/{os.getuid()}/mesh.hubd"
    assert "no jobs" in mesh("uninstall", "launchd").stdout


def test_a_refusal_of_launchctl_is_told_with_the_way_out(mesh: Mesh, launchctl: Launchctl) -> None:
    _configure(mesh, "[hub]\nrun = true\n")
    launchctl.answers('[ $1 = bootout ] && exit 3; echo "Bootstrap failed: 125" >&2; exit 125')
    done = mesh("install", "launchd")
    assert done.returncode == 78
    assert "Bootstrap failed: 125" in done.stderr
    assert "not over ssh" in done.stderr


def test_a_machine_that_runs_neither_is_told_so(mesh: Mesh, launchctl: Launchctl) -> None:
    _configure(mesh, "[bridge]\nrun = true\n")
    done = mesh("install", "launchd")
    assert done.returncode == 78
    assert "neither hub nor agent" in done.stderr


def test_where_there_is_no_launchd_the_unit_for_systemd_is_named(mesh: Mesh) -> None:
    _configure(mesh, "[hub]\nrun = true\n")
    empty = Path(mesh.env["HOME"]) / "nothing"
    empty.mkdir()
    done = mesh("install", "launchd", env={"PATH": str(empty)})
    assert done.returncode == 78
    assert "systemd" in done.stderr
    printed = mesh("install", "launchd", "--print", env={"PATH": str(empty)})
    assert plistlib.loads(printed.stdout.encode())["Label"] == "mesh.hubd"
