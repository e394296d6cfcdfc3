"""Running `mesh` as a person runs it, on a real one-machine mesh."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

MESH = [sys.executable, "-P", "-m", "cli"]
DEADLINE_S = 30.0


def until(condition: Callable[[], Any], *, within_s: float = DEADLINE_S) -> Any:
    """What `condition` gives as soon as that is true."""
    ends_at = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < ends_at, f"not within {within_s} s"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Mesh:
    """The `mesh` command with an environment of its own."""

    env: Mapping[str, str]

    @property
    def home(self) -> Path:
        return Path(self.env["MESH_HOME"])

    def __call__(
        self, *arguments: str, stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*MESH, *arguments],
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments: str, stdin: str = "", **env: str) -> str:
        """Its stdout; it must succeed."""
        done = self(*arguments, stdin=stdin, **env)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*MESH, *arguments],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, path: str) -> Any:
        """The hub's own answer: cheaper than a whole `mesh` where a test only waits."""
        config = tomllib.loads((self.home / "mesh.toml").read_text())
        token = (self.home / "tokens/operator.token").read_text().strip()
        answer = httpx.get(
            f"http://{config['hub']['bind']}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        return answer.raise_for_status().json()

    def state_of(self, task: int) -> str:
        state: str = self.ask(f"/v1/tasks/{task}")["state"]
        return state

    def record(self) -> Any:
        """What the parent last wrote; {} before it wrote anything."""
        file = self.home / "parent.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def pid_of(self, daemon: str) -> int | None:
        process = self.record().get("daemons", {}).get(daemon, {}).get("process")
        return process["pid"] if process else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def at(folder: Path) -> Mesh:
    """A machine whose files are below `folder`."""
    home = folder / "mesh"
    user = folder / "user"
    for made in (home, user):
        made.mkdir(mode=0o700, exist_ok=True)
    return Mesh(
        {
            "PATH": os.environ["PATH"],
            "HOME": str(user),
            "MESH_HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MESH_HUB__HEARTBEAT_S": "0.5",
            "MESH_HUB__MAX_ATTEMPTS": "1",
        }
    )


TEMPLATE_BIND = "127.0.0.1:8420"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mesh init` made, to be copied: each test then has a machine of its own at once."""
    folder = tmp_path_factory.mktemp("template")
    at(folder).ok("init", "--yes", "--runner", "rehearsal", "--name", "Rex", "--slots", "2")
    return folder / "mesh"


def set_up(folder: Path, template: Path) -> Mesh:
    """A configured machine with hub and agent that does not run yet."""
    shutil.copytree(template, folder / "mesh")
    config = folder / "mesh/mesh.toml"
    config.write_text(config.read_text().replace(TEMPLATE_BIND, f"127.0.0.1:{free_port()}"))
    return at(folder)


@pytest.fixture
def mesh(clean_env: dict[str, str]) -> Mesh:
    """Nothing is configured yet."""
    return Mesh(clean_env)


@pytest.fixture
def machine(tmp_path: Path, template: Path) -> Iterator[Mesh]:
    """A configured machine; whatever a test starts on it is stopped."""
    mesh = set_up(tmp_path, template)
    yield mesh
    mesh.ok("down", "--now")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Mesh]:
    """A mesh of one machine that runs; shared by a module, so every test makes its own tasks."""
    mesh = set_up(tmp_path_factory.mktemp("running"), template)
    try:
        mesh.ok("up")
        until(lambda: mesh.ask("/v1/nodes")["nodes"])
        yield mesh
    finally:
        mesh.ok("down", "--now")
