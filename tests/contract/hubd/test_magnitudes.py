"""Numbers, times and characters at the edge of what JSON can say: taken or refused, no fault."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from common.wire.admin import Role
from tests.contract.hubd.harness import HubProcess, issue_all

HUGE = 2**63
TEXT = {
    "guid": "g",
    "chat": "iMessage;-;+15551234567",
    "sender": "+15551234567",
    "text": "status",
    "sent_at": "2026-01-01T00:00:00Z",
}
HUGE_USAGE = {"model": "m", "input_tokens": HUGE}
FENCE = "/v1/attempts/4294967297"


@pytest.fixture(scope="module")
def tokens(shared_hub: HubProcess) -> dict[Role, str]:
    return asyncio.run(issue_all(shared_hub.home))


CASES: list[tuple[Role, str, Any]] = [
    (Role.BRIDGE, "/v1/messages", {**TEXT, "sent_at": "2026-01-01T00:00:00"}),
    (Role.BRIDGE, "/v1/messages", {**TEXT, "sent_at": "9999-12-31T23:59:59Z", "guid": "g1"}),
    (Role.BRIDGE, "/v1/messages", {**TEXT, "sent_at": "0001-01-01T00:00:00+23:59", "guid": "g2"}),
    (Role.BRIDGE, "/v1/messages", {**TEXT, "order": HUGE}),
    (Role.BRIDGE, "/v1/messages", {**TEXT, "order": -HUGE}),
    (Role.BRIDGE, "/v1/messages", {**TEXT, "text": "a\0b", "guid": "g3"}),
    (Role.BRIDGE, "/v1/messages", {**TEXT, "text": "stop 99999999999999999999", "guid": "g4"}),
    (Role.BRIDGE, "/v1/outbox/1", {"outcome": "sent", "order": HUGE}),
    (Role.NODE, "/v1/nodes/Rex/heartbeat", {"running": [HUGE]}),
    (Role.NODE, "/v1/nodes/Rex/heartbeat", {"running": [HUGE - 1, 1]}),
    (Role.NODE, f"{FENCE}/output", {"first": HUGE, "items": [{"kind": "text"}]}),
    (
        Role.NODE,
        f"{FENCE}/result",
        {"outcome": "ok", "usage": [{"model": "m", "input_tokens": HUGE}]},
    ),
    (Role.NODE, f"{FENCE}/result", {"outcome": "ok", "cost_usd": 1e308}),
    (Role.NODE, f"{FENCE}/result", {"outcome": "ok", "cost_usd": -1}),
    (Role.NODE, f"{FENCE}/result", {"outcome": "x", "resets_at": "2026-01-01T00:00:00"}),
    (Role.OPERATOR, "/v1/tasks", {"prompt": "x", "continue_of": HUGE}),
    (Role.OPERATOR, "/v1/tasks", {"prompt": "x", "continue_of": HUGE - 1}),
    (Role.OPERATOR, "/v1/tasks", {"prompt": "x\0y", "max_cost_usd": 1e-300, "timeout_s": 1e-300}),
    (Role.OPERATOR, "/v1/tokens", {"role": "viewer", "ttl_s": 1e300}),
    (Role.OPERATOR, "/v1/tokens", {"role": "viewer", "ttl_s": 1e-300}),
    (Role.OPERATOR, "/v1/nodes/Rex/drain", {"timeout_s": 1e-300}),
    (Role.OPERATOR, "/v1/conversation", {"text": "why 99999999999999999999"}),
    (Role.OPERATOR, "/v1/conversation", {"text": "#99999999999999999999 and on"}),
]


@pytest.mark.parametrize(("role", "path", "body"), CASES)
def test_a_body_at_the_edge_is_taken_or_refused(
    shared_hub: HubProcess, tokens: dict[Role, str], role: Role, path: str, body: Any
) -> None:
    headers = {"Authorization": f"Bearer {tokens[role]}", "Content-Type": "application/json"}
    with httpx.Client(base_url=shared_hub.hub.url, headers=headers, trust_env=False) as client:
        if role is Role.NODE:
            client.post("/v1/nodes/Rex/register", json={"slots": 4})
        response = client.post(path, content=json.dumps(body))
    assert response.status_code < 500, response.text


@pytest.mark.parametrize(
    "address",
    [
        "/v1/costs?since=0001-01-01T00:00:00%2B23:59",
        "/v1/costs?until=9999-12-31T23:59:59-23:59",
        "/v1/costs?since=2026-01-01",
        "/v1/tasks?q=%00",
        "/v1/tasks?before=9223372036854775808",
        "/v1/tasks/9223372036854775808",
        "/v1/tasks/0",
        "/v1/approvals/%C3%89",
        "/v1/conversation?before=in-999999999999999999",
        "/v1/%ff",
    ],
)
def test_an_address_at_the_edge_is_answered_or_refused(
    shared_hub: HubProcess, tokens: dict[Role, str], address: str
) -> None:
    headers = {"Authorization": f"Bearer {tokens[Role.OPERATOR]}"}
    response = httpx.get(shared_hub.hub.url + address, headers=headers, trust_env=False)
    assert response.status_code < 500, response.text
