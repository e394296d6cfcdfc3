"""Secrets on every road of a whole mesh: found where they belong and nowhere else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from common.client import Credentials, HubClient, HubError, OperatorApi, Secret
from tests.contract.cli_ops.conftest import Mesh, until

WORKER = """#!/bin/sh
echo "environment: $(env)"
echo "arguments: $(ps -A -ww -o args= 2>/dev/null)"
cat
"""


def test_no_token_is_found_in_logs_databases_processes_or_what_a_task_sees(
    mesh: Mesh, tmp_path: Path
) -> None:
    worker = tmp_path / "worker"
    worker.write_text(WORKER)
    worker.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    mesh("init", "--yes", "--bind", bind, "--name", "Rex", "--runner", "command")
    config = mesh.home / "mesh.toml"
    text = config.read_text()
    config.write_text(text.replace("[agent]", f'[agent]\ncommand = ["{worker}"]', 1))
    try:
        up = mesh("up")
        assert up.returncode == 0, up.stdout + up.stderr
        operator = (mesh.home / "tokens" / "operator.token").read_text().strip()
        # As a person might: the token in the environment of what starts and asks.
        done = mesh("submit", "--wait", "--json", "look around", env={"MESH_TOKEN": operator})
        assert done.returncode == 0, done.stdout + done.stderr
        invitation = mesh("invite", "--name", "Archon").stdout.strip()
        home = tmp_path / "newcomer"
        home.mkdir(mode=0o700)
        newcomer = Mesh({**mesh.env, "MESH_HOME": str(home)})
        assert newcomer("join", stdin=invitation).returncode == 0
        mesh("doctor", "--json")
        secrets = [
            *(file.read_text().strip() for file in mesh.home.glob("tokens/*.token")),
            *(file.read_text().strip() for file in home.glob("tokens/*.token")),
            invitation.rpartition(".")[2],
        ]
        assert len(secrets) == 4
        seen = done.stdout
        assert "environment: " in seen
        for secret in secrets:
            assert secret not in seen
        _absent_from_processes(mesh.home, secrets)
    finally:
        mesh("down", "--now")
    for folder in (mesh.home, home):
        for file in folder.rglob("*"):
            if file.is_file() and file.parent.name != "tokens":
                content = file.read_bytes()
                for secret in secrets:
                    assert secret.encode() not in content, file


def _absent_from_processes(home: Path, secrets: list[str]) -> None:
    looked_at = 0
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), *process.environ().values()])
        except (psutil.Error, OSError):
            continue
        looked_at += str(home) in words
        for secret in secrets:
            assert secret not in words, process
    assert looked_at >= 3  # parent, hub and agent


class Listener:
    """A server that answers every request alike and keeps what it was told."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._answer = answer
        self.heard = b""
        self._thread = threading.Thread(target=self._serve, name="listener")
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            with closing(raw):
                self.heard += raw.recv(65536)
                raw.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def elsewhere() -> Iterator[Listener]:
    found = Listener(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    yield found
    found.close()


@pytest.fixture
def redirecting(elsewhere: Listener) -> Iterator[Listener]:
    answer = f"HTTP/1.1 307 Go\r\nLocation: {elsewhere.url}/v1/nodes\r\nContent-Length: 0\r\n\r\n"
    found = Listener(answer.encode())
    yield found
    found.close()


async def test_a_client_follows_no_redirect_and_uses_no_proxy_with_its_token(
    redirecting: Listener, elsewhere: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    async with HubClient(Credentials(redirecting.url, Secret("canary"))) as client:
        with pytest.raises(HubError, match="307"):
            await OperatorApi(client).nodes()
    assert b"canary" in redirecting.heard
    assert elsewhere.heard == b""


def test_the_invitation_is_the_only_thing_printed_and_its_json_says_when_it_ends(
    mesh: Mesh,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    mesh("init", "--yes", "--bind", bind, "--no-agent")
    try:
        mesh("up")
        until(lambda: mesh("nodes").returncode == 0, "the hub")
        plain = mesh("invite")
        assert len(plain.stdout.split()) == 1
        found = json.loads(mesh("invite", "--json", "--ttl", "1h").stdout)
        assert found.keys() == {"invitation", "id", "expires_at"}
    finally:
        mesh("down", "--now")
