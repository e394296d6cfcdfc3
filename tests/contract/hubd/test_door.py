"""What is refused before a route is reached, and how it is said."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from httpx_sse import EventSource

from common.client import OperatorApi
from common.wire.admin import ErrorBody, Role
from common.wire.events import Entity, Event
from hubd.access.limits import MAX_JSON_BYTES
from tests.contract.hubd.harness import RunningHub


@pytest.fixture
async def http(hub: RunningHub) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {await hub.token(Role.OPERATOR)}"}
    async with httpx.AsyncClient(base_url=hub.url, headers=headers, trust_env=False) as client:
        yield client


def _refused(response: httpx.Response, status: int, code: str) -> ErrorBody:
    """The one shape every error has."""
    body = msgspec.json.decode(response.content, type=ErrorBody)
    assert (response.status_code, body.error) == (status, code)
    assert body.message
    assert body.request_id == response.headers["X-Request-Id"]
    assert "Traceback" not in response.text
    return body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8420"])
async def test_a_foreign_host_name_is_refused(http: httpx.AsyncClient, host: str) -> None:
    response = await http.get("/healthz", headers={"Host": host})
    _refused(response, 421, "foreign_host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8420", "LOCALHOST:80"])
async def test_names_of_this_machine_are_heard_on_loopback(
    http: httpx.AsyncClient, host: str
) -> None:
    assert (await http.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
async def test_a_web_page_is_refused_and_given_no_cors_header(
    http: httpx.AsyncClient, origin: str
) -> None:
    response = await http.get("/v1/nodes", headers={"Origin": origin})
    _refused(response, 403, "foreign_origin")
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("query", ["token=x", "access_token=x", "q=mesh_operator_abc_" + "A" * 43])
async def test_a_token_in_the_url_is_refused(http: httpx.AsyncClient, query: str) -> None:
    _refused(await http.get(f"/v1/tasks?{query}"), 400, "token_in_url")


@pytest.mark.parametrize("protocol", ["2", "99", "x", ""])
async def test_another_protocol_is_told_to_upgrade(http: httpx.AsyncClient, protocol: str) -> None:
    response = await http.get("/v1/nodes", headers={"Mesh-Proto": protocol})
    _refused(response, 426, "upgrade_required")


async def test_a_body_over_the_limit_is_refused_with_and_without_a_length(
    http: httpx.AsyncClient,
) -> None:
    body = json.dumps({"prompt": "x" * MAX_JSON_BYTES}).encode()
    headers = {"Content-Type": "application/json"}

    async def chunked() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    _refused(await http.post("/v1/tasks", content=body, headers=headers), 413, "too_large")
    _refused(await http.post("/v1/tasks", content=chunked(), headers=headers), 413, "too_large")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_only_json_is_taken(http: httpx.AsyncClient, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    response = await http.post("/v1/tasks", content=b'{"prompt":"x"}', headers=headers)
    _refused(response, 415, "media_type")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b'{"prompt": "\xff"}', 400, "bad_request"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"prompt": ""}', 422, "invalid"),
        (b'{"prompt": 1}', 422, "invalid"),
        (b'{"prompt": "x", "priority": "huge"}', 422, "invalid"),
        (b'{"prompt": "x", "surprise": 1}', 422, "invalid"),
        (b'{"prompt": "x", "max_cost_usd": -1}', 422, "invalid"),
        (b'{"prompt": "x", "timeout_s": 1e999}', 422, "invalid"),
    ],
)
async def test_a_body_that_is_not_a_task_is_refused(
    http: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    _refused(await http.post("/v1/tasks", content=body, headers=headers), status, code)
    assert (await http.get("/v1/tasks")).json()["tasks"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1&limit=2", "state=sleeping", "surprise=1", "before=-1"]
)
async def test_a_query_that_makes_no_sense_is_refused(http: httpx.AsyncClient, query: str) -> None:
    _refused(await http.get(f"/v1/tasks?{query}"), 422, "invalid")


async def test_a_wrong_method_is_told_the_right_ones(http: httpx.AsyncClient) -> None:
    response = await http.put("/v1/tasks")
    _refused(response, 405, "method_not_allowed")
    assert sorted(response.headers["Allow"].split(", ")) == ["GET", "POST"]
    assert (await http.head("/v1/events")).status_code == 405
    assert (await http.options("/v1/tasks")).status_code == 405


async def test_headers_over_the_limit_are_refused(http: httpx.AsyncClient) -> None:
    response = await http.get("/healthz", headers={"X-Long": "x" * 20_000})
    assert response.status_code == 431


async def test_a_fault_of_the_hub_says_nothing_of_itself(
    hub: RunningHub, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hubd.services.nodes import Nodes

    async def broken(self: Nodes) -> Any:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(Nodes, "list", broken)
    logging.getLogger("hubd.app").setLevel(logging.CRITICAL)
    try:
        body = _refused(await http.get("/v1/nodes"), 500, "internal")
    finally:
        logging.getLogger("hubd.app").setLevel(logging.NOTSET)
    assert "secret" not in body.message


async def test_ten_wrong_tokens_lock_an_address_out_but_not_its_proven_tokens(
    hub: RunningHub, http: httpx.AsyncClient
) -> None:
    late = await hub.token(Role.VIEWER)
    assert (await http.get("/v1/nodes")).status_code == 200
    async with httpx.AsyncClient(base_url=hub.url, trust_env=False) as stranger:
        for number in range(10):
            headers = {"Authorization": f"Bearer mesh_operator_guess{number}_{'A' * 43}"}
            _refused(await stranger.get("/v1/nodes", headers=headers), 401, "unauthorized")
        locked = await stranger.get("/v1/nodes", headers=headers)
        _refused(locked, 429, "locked_out")
        assert 1 <= int(locked.headers["Retry-After"]) <= 15
        unproven = await stranger.get("/v1/nodes", headers={"Authorization": f"Bearer {late}"})
        _refused(unproven, 429, "locked_out")
    assert (await http.get("/v1/nodes")).status_code == 200
    record = [event.type for event in await _audit(hub)]
    assert record.count("access.locked_out") == 1


async def _audit(hub: RunningHub) -> list[Event]:
    """The audit events since the beginning."""
    async with await hub.client() as client:
        epoch, _, last = (await OperatorApi(client).snapshot()).last_event_id.partition("-")
        headers = {"Last-Event-ID": f"{epoch}-0"}
        found = []
        async with client.raw.stream("GET", "/v1/events", headers=headers) as response:
            async for message in EventSource(response).aiter_sse():
                if message.data and message.event == "message":
                    found.append(msgspec.json.decode(message.data, type=Event))
                    if found[-1].seq == int(last):
                        break
        return [event for event in found if event.entity is Entity.AUDIT]


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/events", "/v1/nodes"])
async def test_a_caller_that_leaves_before_its_answer_is_no_fault_of_the_hub(
    hub: RunningHub, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    host, port = hub.url.removeprefix("http://").split(":")
    body = b'{"prompt": "x"}'
    method = "POST" if path == "/v1/tasks" else "GET"
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {await hub.token(Role.OPERATOR)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    for sent in (request[:40], request, request + body[:5], request + body):
        for _ in range(5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            await writer.drain()
            writer.transport.abort()
    assert (await http.get("/healthz")).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_body_that_does_not_come_is_given_up(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubd.connection.BODY_TIMEOUT_S", 0.05)
    host, port = hub.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /v1/tasks HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {await hub.token(Role.OPERATOR)}\r\n"
        "Content-Length: 50\r\n\r\n{".encode()
    )
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()
