"""The hub and Caddy, started as the files in deploy/ say."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from common.wire.admin import Role
from tests.conftest import missing_tool
from tests.contract.cli_ops.conftest import Mesh
from tests.contract.hubd.harness import issue, until_now

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "mesh-hubd.service"
CADDYFILE = ROOT / "deploy" / "Caddyfile"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def unit_values(key: str) -> list[str]:
    """The values of a key of the unit file, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


class UnitHub:
    """The hub as systemd would start it: the unit's command and environment, nothing else."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self.log = home.parent / "hub.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.launch()
        until_now(self._answers, "the hub to answer")

    def launch(self) -> None:
        (line,) = unit_values("ExecStart")
        argv = shlex.split(line.replace("/opt/mesh/.venv/bin", str(Path(sys.executable).parent)))
        env = dict(value.split("=", 1) for value in unit_values("Environment"))
        env = {key: value.replace("/var/lib/mesh", str(self.home)) for key, value in env.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", **env},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=int(unit_values("UMask")[0], 8),
            )

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code and the seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15), time.monotonic() - began

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Front:
    """Hub and Caddy together. `root`: the authority of Caddy's certificate."""

    def __init__(self, hub: UnitHub, url: str, root: Path) -> None:
        self.hub, self.url, self.root = hub, url, root

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.root))

    def token(self, role: Role, name: str | None = None) -> str:
        return asyncio.run(issue(self.hub.home, role, name))


def _configure(home: Path, port: int, url: str) -> None:
    file = home / "mesh.toml"
    file.write_text(f'[hub]\nrun = true\nbind = "127.0.0.1:{port}"\nurl = "{url}"\n')
    file.chmod(0o600)


@pytest.fixture
def mesh(clean_env: dict[str, str]) -> Mesh:
    return Mesh(clean_env)


@pytest.fixture
def unit_hub(mesh_home: Path) -> Iterator[UnitHub]:
    """A hub that was not started yet."""
    port = free_port()
    _configure(mesh_home, port, f"http://127.0.0.1:{port}")
    hub = UnitHub(mesh_home, port)
    yield hub
    hub.close()


@pytest.fixture
def front(mesh_home: Path, tmp_path: Path) -> Iterator[Front]:
    """Caddy on a loopback port with its own authority, before a running hub."""
    program = shutil.which("caddy")
    if program is None:
        missing_tool("caddy")
        raise AssertionError("unreachable")
    hub_port, site = free_port(), f"https://localhost:{free_port()}"
    _configure(mesh_home, hub_port, site)
    hub = UnitHub(mesh_home, hub_port)
    hub.start()
    log = (tmp_path / "caddy.log").open("wb")
    caddy = subprocess.Popen(
        [program, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "MESH_SITE": site,
            "MESH_HUB": f"127.0.0.1:{hub_port}",
            "MESH_CADDY_ADMIN": "off",
        },
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    found = Front(hub, site, tmp_path / "data" / "caddy/pki/authorities/local/root.crt")
    try:
        until_now(lambda: _serves(found), "Caddy to serve")
        yield found
    finally:
        caddy.terminate()
        caddy.wait(15)
        log.close()
        hub.close()


def _serves(front: Front) -> bool:
    if not front.root.exists():
        return False
    try:
        answer = httpx.get(f"{front.url}/healthz", verify=front.context, trust_env=False)
    except (httpx.TransportError, ssl.SSLError):
        return False
    return answer.status_code == 200
