"""Answers that no random request provokes: each is one that the description has."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from common.wire.admin import Role
from hubd.errors import StoppingError
from hubd.store.database import Database
from tests.contract.hubd.harness import RunningHub


class Caller:
    """Asks, and holds every answer against the hub's own description."""

    def __init__(self, http: httpx.AsyncClient, document: dict[str, Any]) -> None:
        self.http = http
        self.document = document

    async def ask(self, method: str, template: str, **more: Any) -> tuple[int, str]:
        """Status and, of a refusal, the word. `path` fills the address in."""
        path = template.format(**more.pop("path", {}))
        answer = await self.http.request(method, path, **more)
        described = self.document["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in described, (template, answer.text)
        response = described[str(answer.status_code)]
        assert all(name in answer.headers for name in response["headers"])
        word = answer.json()["error"] if answer.status_code >= 400 else ""
        assert not word or word in re.findall(r"`(\w+)`", response["description"])
        return answer.status_code, word


@asynccontextmanager
async def _caller(hub: RunningHub, role: Role, name: str | None = None) -> AsyncIterator[Caller]:
    headers = {"Authorization": f"Bearer {await hub.token(role, name)}"}
    async with httpx.AsyncClient(base_url=hub.url, headers=headers, trust_env=False) as http:
        yield Caller(http, (await http.get("/openapi.json")).json())


@pytest.fixture
async def operator(hub: RunningHub) -> AsyncIterator[Caller]:
    async with _caller(hub, Role.OPERATOR) as caller:
        yield caller


@pytest.fixture
async def node(hub: RunningHub) -> AsyncIterator[Caller]:
    async with _caller(hub, Role.NODE, "Rex") as caller:
        await caller.http.post("/v1/nodes/Rex/register", json={"slots": 1})
        await caller.http.post("/v1/nodes/Rex/heartbeat", json={})
        yield caller


async def _lease(operator: Caller, node: Caller) -> int:
    await operator.http.post("/v1/tasks", json={"prompt": "x"})
    claim = {"free_slots": 1, "wait_s": 5}
    claimed = (await node.http.post("/v1/nodes/Rex/claim", json=claim)).json()
    return int(claimed["leases"][0]["fence"])


async def test_a_task_cannot_go_on_from_one_that_has_not_begun(operator: Caller) -> None:
    assert await operator.ask("POST", "/v1/tasks", json={"prompt": "x"}) == (201, "")
    more = {"prompt": "y", "continue_of": 1}
    assert await operator.ask("POST", "/v1/tasks", json=more) == (409, "conflict")


async def test_what_an_attempt_says_out_of_turn_is_a_conflict(
    operator: Caller, node: Caller
) -> None:
    path = {"fence": await _lease(operator, node)}
    attempt = "/v1/attempts/{fence}/"
    gap = {"first": 7, "items": [{"kind": "text", "text": "x"}]}
    done = {"outcome": "ok"}
    conflict = (409, "conflict")
    assert await node.ask("POST", f"{attempt}result", path=path, json=done) == conflict
    assert await node.ask("POST", f"{attempt}start", path=path, json={}) == (200, "")
    assert await node.ask("POST", f"{attempt}output", path=path, json=gap) == conflict
    assert await node.ask("POST", f"{attempt}release", path=path, json={}) == conflict
    unknown = {"fence": 99}
    for word, body in (("start", {}), ("output", gap), ("release", {}), ("result", done)):
        fenced = await node.ask("POST", f"{attempt}{word}", path=unknown, json=body)
        assert fenced == (409, "fenced"), word


async def test_a_key_that_comes_with_another_request_is_a_mismatch(operator: Caller) -> None:
    headers = {"Idempotency-Key": "k"}
    for path, first, other in (
        ("/v1/tasks", {"prompt": "x"}, {"prompt": "y"}),
        ("/v1/conversation", {"text": "status"}, {"text": "help"}),
    ):
        for body, status in ((first, {200, 201}), (first, {200}), (other, {422})):
            found, word = await operator.ask("POST", path, json=body, headers=headers)
            assert found in status, (path, body)
            assert word == ("idempotency_mismatch" if body is other else "")


@pytest.mark.parametrize("media_type", ["image/jpeg", "application/json", None])
async def test_a_file_of_any_media_type_is_taken_and_given_back_as_bytes(
    operator: Caller, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    sent = await operator.http.post("/v1/files?name=x", content=b"\xff\x00", headers=headers)
    assert sent.status_code == 201
    got = await operator.http.get(f"/v1/files/{sent.json()['id']}")
    assert (got.content, got.headers["content-type"]) == (b"\xff\x00", "application/octet-stream")


async def test_a_write_while_the_hub_stops_is_told_to_come_again(
    operator: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise StoppingError

    monkeypatch.setattr(Database, "write", refuse)
    assert await operator.ask("POST", "/v1/hold", json={"on": True}) == (503, "stopping")


async def test_a_second_answer_is_told_when_the_first_came(operator: Caller) -> None:
    await operator.http.post("/v1/tasks", json={"prompt": "x", "approval": True})
    code = (await operator.http.get("/v1/approvals")).json()["approvals"][0]["code"]
    yes = {"decision": "approve"}
    first = (await operator.http.post(f"/v1/approvals/{code}", json=yes)).json()
    second = await operator.http.post(f"/v1/approvals/{code}", json=yes)
    detail = second.json()["detail"]
    assert (second.status_code, second.json()["error"]) == (409, "already_answered")
    assert detail["answered_at"] == first["answered_at"]
    assert datetime.fromisoformat(detail["answered_at"]).tzinfo


async def test_a_method_an_address_does_not_take_is_told_as_the_document_says(
    operator: Caller,
) -> None:
    answer = await operator.http.put("/v1/tasks", json={})
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
    assert "405 `method_not_allowed`" in operator.document["info"]["description"]
