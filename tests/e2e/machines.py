"""A whole mesh of real processes on loopback: simulated Messages, hub, agents, bridge.

Every machine has its own MESH_HOME, as it would on its own Mac, and an environment built from
nothing. What a process printed is kept for the assertion that fails.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

T = TypeVar("T")

DEADLINE_S = 30.0
OWNER = "+15555550100"


def until(condition: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """What `condition` gives as soon as it gives something; AssertionError names the wait."""
    ends_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < ends_at, f"waited {deadline_s:.0f} s for {what}"
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """One process of ours, in a session of its own; its output is in `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = 10.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"{self.name} did not stop in {within_s} s:\n{self.said()}"
            ) from None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@dataclass
class Mesh:
    """The processes, and the two ends a person has: the phone and the operator's HTTP."""

    folder: Path
    base_env: Mapping[str, str]
    port: int = field(default_factory=free_port)
    programs: dict[str, Program] = field(default_factory=dict)
    operator: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def messages_dir(self) -> Path:
        return self.folder / "messages"

    def home(self, machine: str) -> Path:
        home = self.folder / machine
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def env(self, machine: str, **more: str) -> dict[str, str]:
        return {
            **self.base_env,
            "MESH_HOME": str(self.home(machine)),
            "MESH_HUB__URL": self.url,
            "MESH_BRIDGE__ALLOW": json.dumps([OWNER]),
            **more,
        }

    def start(self, name: str, *arguments: str, env: Mapping[str, str]) -> Program:
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=self.folder,
            )
        program = Program(name, process, log)
        self.programs[name] = program
        return program

    def start_messages(self) -> None:
        self.messages_dir.mkdir(mode=0o700, exist_ok=True)
        folder = str(self.messages_dir)
        program = self.start(
            "messages", "imsgd.simulated", "serve", "--dir", folder, env=self.env("hub")
        )
        until(lambda: b"ready" in program.log.read_bytes(), "the simulated Messages")
        self.start(
            "phone", "imsgd.simulated", "tail", "--dir", folder, "--json", env=self.env("hub")
        )

    def start_hub(self, **more: str) -> Program:
        env = self.env("hub", MESH_HUB__BIND=f"127.0.0.1:{self.port}", **more)
        program = self.start("hub", "hubd", env=env)
        until(lambda: self._healthy(program), "the hub to answer")
        if not self.operator:
            self.operator = self.token("operator")
        return program

    def _healthy(self, program: Program) -> bool:
        assert program.process.poll() is None, f"the hub ended:\n{program.said()}"
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def token(self, role: str, name: str | None = None) -> str:
        command = [sys.executable, "-m", "hubd", "token", "new", "--role", role]
        command += ["--name", name] if name else []
        done = subprocess.run(
            command, env=self.env("hub"), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start_agent(self, name: str, slots: int, **more: str) -> Program:
        env = self.env(
            name,
            MESH_AGENT__NAME=name,
            MESH_AGENT__SLOTS=str(slots),
            MESH_AGENT__DRAIN_S="0",
            MESH_TOKEN=self.token("node", name),
            **more,
        )
        program = self.start(name, "agentd", env=env)
        until(lambda: self._online(name, program), f"{name} to register")
        return program

    def _online(self, name: str, program: Program) -> bool:
        assert program.process.poll() is None, f"{name} ended:\n{program.said()}"
        return any(
            node["name"] == name and node["online"] for node in self.get("/v1/nodes")["nodes"]
        )

    def start_bridge(self, **more: str) -> Program:
        env = self.env(
            "hub",
            MESH_BRIDGE__CHAT_DB=str(self.messages_dir / "chat.db"),
            MESH_BRIDGE__OSASCRIPT=str(self.messages_dir / "osascript"),
            MESH_BRIDGE__POLL_MS="50",
            MESH_TOKEN=self.token("bridge"),
            **more,
        )
        program = self.start("bridge", "imsgd", env=env)
        until(lambda: self._bridge_ok(program), "the bridge to report")
        return program

    def _bridge_ok(self, program: Program) -> bool:
        assert program.process.poll() is None, f"the bridge ended:\n{program.said()}"
        return bool(self.get("/v1/snapshot")["bridge"]["state"] == "ok")

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: object = None) -> Any:
        return self._call("POST", path, json=body if body is not None else {})

    def _call(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.operator}"}
        answer = httpx.request(method, self.url + path, headers=headers, trust_env=False, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def text(self, text: str) -> None:
        """Type on the phone."""
        self._messages("text", text)

    def replies(self) -> list[str]:
        """What the phone shows from the mesh so far, oldest first, mirrored copies left out."""
        lines = (self.folder / "phone.log").read_text().splitlines()
        bubbles = [json.loads(line) for line in lines if line.endswith("}")]
        return [b["text"] for b in bubbles if b["direction"] == "out" and not b["copy"]]

    def reply(self, beginning: str, deadline_s: float = DEADLINE_S) -> str:
        """The first reply that starts with `beginning`, waited for."""

        def found() -> str | None:
            return next((text for text in self.replies() if text.startswith(beginning)), None)

        return until(found, f"a reply beginning with {beginning!r}", deadline_s)

    def said(self) -> str:
        """The end of every process's output: what a failed assertion wants to know."""
        return "\n".join(f"--- {p.name}\n{p.said()}" for p in self.programs.values())

    def _messages(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "imsgd.simulated", arguments[0]]
        command += ["--dir", str(self.messages_dir), *arguments[1:]]
        subprocess.run(command, env=self.env("hub"), check=True, timeout=30, capture_output=True)

    def descendants(self) -> list[psutil.Process]:
        """Every process that carries this mesh's folder in its environment."""
        mine = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and str(self.folder) in "".join(
                    process.environ().values()
                ):
                    mine.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return mine

    def stop(self) -> None:
        for program in reversed(list(self.programs.values())):
            if program.process.poll() is None:
                program.stop()


@contextmanager
def mesh_of_processes(folder: Path, env: Mapping[str, str]) -> Iterator[Mesh]:
    """A mesh whose processes are all ended, and looked for, when the block is left."""
    mesh = Mesh(folder, env)
    try:
        try:
            yield mesh
        except BaseException as error:
            error.add_note(mesh.said())
            raise
        mesh.stop()
        until(lambda: not mesh.descendants(), "every process to be gone", 15.0)
    finally:
        for process in mesh.descendants():
            process.kill()
