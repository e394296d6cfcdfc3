"""SIGTERM ends the real daemon in under two seconds, whatever its clients are doing."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import ExitStack

import httpx
import pytest

from common.wire.admin import Role
from tests.contract.hubd.harness import HubProcess, issue, run_hubd, until_now

pytestmark = pytest.mark.shutdown


def _clean(process: HubProcess) -> None:
    """It ended as it should and wrote nothing but JSON lines."""
    assert process.process is not None
    raw = process.stderr_file.read_text()
    assert process.process.returncode == 0, raw
    assert all(line.startswith("{") for line in raw.splitlines()), raw
    assert "Traceback" not in raw
    assert process.lines()[-1]["event"] == "hub stopped"


class Reader(threading.Thread):
    """A client with an open stream or long poll; `body` is what it got until the end."""

    def __init__(self, url: str, token: str, method: str, path: str, json: object = None) -> None:
        super().__init__(daemon=True)
        self.request = (url, token, method, path, json)
        self.opened = threading.Event()
        self.status = 0
        self.body = b""
        self.start()

    def run(self) -> None:
        url, token, method, path, json = self.request
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
            self.opened.set()
            with client.stream(method, path, json=json) as response:
                self.status = response.status_code
                self.body = b"".join(response.iter_raw())


def _tokens(process: HubProcess) -> tuple[str, str]:
    operator = asyncio.run(issue(process.home, Role.OPERATOR))
    return operator, asyncio.run(issue(process.home, Role.NODE, "Rex"))


def _open_streams(process: HubProcess, token: str) -> float:
    page = httpx.get(
        f"{process.hub.url}/metrics",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    ).text
    figures = dict(line.rsplit(" ", 1) for line in page.splitlines() if line[0] != "#")
    return float(figures["mesh_streams_open"]) + float(figures["mesh_calls_waiting"])


def test_it_stops_with_streams_and_long_polls_open_and_says_goodbye(
    hub_process: HubProcess,
) -> None:
    hub_process.start()
    operator, node = _tokens(hub_process)
    url = hub_process.hub.url
    headers = {"Authorization": f"Bearer {operator}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        task = client.post("/v1/tasks", json={"prompt": "wait"}).json()["id"]
        client.post("/v1/hold", json={"on": True})
    with httpx.Client(base_url=url, trust_env=False) as client:
        node_headers = {"Authorization": f"Bearer {node}"}
        client.post("/v1/nodes/Rex/register", json={"slots": 1}, headers=node_headers)
        client.post("/v1/nodes/Rex/heartbeat", json={}, headers=node_headers)
    readers = [Reader(url, operator, "GET", "/v1/events") for _ in range(3)]
    readers.append(Reader(url, operator, "GET", f"/v1/tasks/{task}/output"))
    claim = {"free_slots": 1, "wait_s": 30}
    readers.append(Reader(url, node, "POST", "/v1/nodes/Rex/claim", claim))
    until_now(lambda: _open_streams(hub_process, operator) == 5, "five open calls")

    assert hub_process.stop() < 2
    for reader in readers:
        reader.join(2)
        assert not reader.is_alive()
    assert [reader.status for reader in readers] == [200, 200, 200, 200, 503]
    assert not any(b"event: end" in reader.body for reader in readers)
    _clean(hub_process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_stops_on_every_signal_a_terminal_or_a_service_sends(
    hub_process: HubProcess, number: signal.Signals
) -> None:
    hub_process.start()
    assert hub_process.stop(number) < 2
    _clean(hub_process)


@pytest.mark.parametrize("path", ["/v1/events", "/v1/snapshot"])
def test_it_stops_though_five_clients_do_not_read(hub_process: HubProcess, path: str) -> None:
    hub_process.start()
    operator, _ = _tokens(hub_process)
    headers = {"Authorization": f"Bearer {operator}"}
    host, port = hub_process.hub.url.removeprefix("http://").split(":")
    with (
        ExitStack() as clients,
        httpx.Client(base_url=hub_process.hub.url, headers=headers, trust_env=False) as client,
    ):
        start = client.get("/v1/snapshot").json()["last_event_id"]
        for _ in range(60):
            client.post("/v1/tasks", json={"prompt": "y" * 150_000})
        for _ in range(5):
            deaf = clients.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
                f"Authorization: Bearer {operator}\r\nLast-Event-ID: {start}\r\n\r\n".encode()
            )
            assert deaf.recv(1) == b"H"  # its answer is under way
        assert hub_process.stop() < 2
    _clean(hub_process)


def test_a_second_hub_is_refused_and_names_the_first(
    hub_process: HubProcess, hub_env: dict[str, str]
) -> None:
    hub_process.start()
    assert hub_process.process is not None
    second = run_hubd({**hub_env, "MESH_HUB__BIND": "127.0.0.1:0"})
    assert second.returncode == 75
    assert f"pid {hub_process.process.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
