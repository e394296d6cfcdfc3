"""A real hub for the tests: in this process' loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.client import Credentials, HubClient, Secret
from common.clock import SystemClock
from common.config import Config, load_config
from common.paths import MeshPaths
from common.wire.admin import NewToken, Role
from hubd.__main__ import CONSOLE, Hub
from hubd.server import Address, find_tls
from hubd.services.wiring import build_services
from hubd.store.database import open_database

DEADLINE_S = 15.0


async def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """What `condition` gives as soon as that is true."""
    ends_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < ends_at, f"waited {deadline_s} s for {what}"
        await asyncio.sleep(0.01)
    return value


def until_now(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """`until` for tests without a loop."""
    ends_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < ends_at, f"waited {deadline_s} s for {what}"
        time.sleep(0.01)
    return value


async def issue(home: Path, role: Role, name: str | None = None, **more: Any) -> str:
    """A token, written to the database as `mesh-hubd token new` does."""
    paths = MeshPaths(home, home)
    async with open_database(paths.hub_db, clock=SystemClock()) as database:
        services = build_services(database, Config(), clock=SystemClock(), rng=random.Random(1))
        request = NewToken(role=role, name=name, **more)
        return (await services.tokens.issue(request, by=CONSOLE)).token


async def issue_all(home: Path) -> dict[Role, str]:
    """A token of every role; the node's is bound to Rex."""
    special: dict[Role, dict[str, Any]] = {
        Role.NODE: {"name": "Rex"},
        Role.INVITE: {"grants": Role.VIEWER},
    }
    return {role: await issue(home, role, **special.get(role, {})) for role in Role}


async def revoke(home: Path, token: str) -> None:
    """Revoke a token on the database, as `mesh-hubd token revoke` does."""
    async with open_database(home / "hub.db", clock=SystemClock()) as database:
        services = build_services(database, Config(), clock=SystemClock(), rng=random.Random(1))
        await services.tokens.revoke(token.split("_")[2], by=CONSOLE)


@dataclass(slots=True)
class RunningHub:
    """A hub that answers at `url`; tokens by role, or `node:Rex`."""

    home: Path
    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    ca_file: Path | None = None
    ended: asyncio.Task[None] | None = None

    async def token(self, role: Role, name: str | None = None) -> str:
        key = f"{role}:{name}" if name else str(role)
        if key not in self.tokens:
            self.tokens[key] = await issue(self.home, role, name)
        return self.tokens[key]

    async def client(
        self, role: Role = Role.OPERATOR, name: str | None = None, *, timeout_s: float = 10.0
    ) -> HubClient:
        token = Secret(await self.token(role, name))
        return HubClient(Credentials(self.url, token, self.ca_file), timeout_s=timeout_s)


@asynccontextmanager
async def local_hub(
    home: Path, env: Mapping[str, str] | None = None, *, port: int = 0
) -> AsyncIterator[RunningHub]:
    """A hub in this loop, on a free port or this one, built as `mesh-hubd` builds it."""
    loaded = load_config({"MESH_HOME": str(home), "MESH_HUB__BACKUP_EVERY_S": "0", **(env or {})})
    hub_config = loaded.config.hub
    tls = find_tls(hub_config.tls_cert, hub_config.tls_key)
    hub = Hub(loaded.config, loaded.paths, Address("127.0.0.1", port), tls, SystemClock())
    stop = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(hub.run(stop=stop, announce=listening.set_result), name="hub")
    try:
        await asyncio.wait([task, listening], return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            await task
        yield RunningHub(home, listening.result(), ended=task)
    finally:
        stop.set()
        await task


class HubProcess:
    """`python -m hubd` with its own MESH_HOME; keeps its port over restarts."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self.home = home
        self.env = {
            "MESH_HUB__BIND": "127.0.0.1:0",
            "MESH_HUB__BACKUP_EVERY_S": "0",
            **env,
            "MESH_HOME": str(home),
        }
        self.stderr_file = home.parent / f"{home.name}.stderr"
        self.process: subprocess.Popen[bytes] | None = None
        self.hub = RunningHub(home)

    def start(self) -> None:
        """Start it and wait until it listens."""
        begin = self.spawn()
        line = until_now(lambda: self._line("hub listening", begin), "the hub to listen")
        self.hub.url = line["url"]
        self.env["MESH_HUB__BIND"] = self.hub.url.partition("://")[2]

    def spawn(self) -> int:
        """Start it without waiting; returns where in the log its lines begin."""
        with self.stderr_file.open("ab") as stderr:
            begin = stderr.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hubd"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        return begin

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = 10.0) -> float:
        """Send a signal and return the seconds the process took to end."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(within_s)
        return time.monotonic() - began

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def lines(self, begin: int = 0) -> list[dict[str, Any]]:
        """What it logged, after byte `begin`."""
        found = []
        for line in self.stderr_file.read_bytes()[begin:].splitlines():
            if line.startswith(b"{"):
                found.append(json.loads(line))
        return found

    def logged(self, event: str) -> bool:
        return self._line(event, 0) is not None

    def _line(self, event: str, begin: int) -> dict[str, Any] | None:
        assert self.process is not None
        raw = self.stderr_file.read_bytes()[begin:]
        assert self.process.poll() is None, raw.decode()
        whole = raw[: raw.rfind(b"\n") + 1]
        for line in whole.splitlines():
            if line.startswith(b"{") and (found := json.loads(line))["event"] == event:
                return dict(found)
        return None


def run_hubd(env: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """`mesh-hubd` with arguments, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "hubd", *args],
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
