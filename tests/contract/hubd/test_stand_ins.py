"""The stand-ins for the hub, which other tests use to provoke faults, answer as the real hub does.

The same calls go to a stand-in and to a real hub. Status, error codes and the fields of every
answer must agree: two halves that are each tested against an invented other half never meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from common.client import OperatorApi
from common.wire.admin import Role
from common.wire.tasks import SubmitTask
from tests.contract.agentd.scripted_hub import NODE, scripted_hub
from tests.contract.hubd.harness import local_hub
from tests.fakes.hub_for_bridge import HubForBridge

OWNER = "+15555550100"
CHAT = f"iMessage;-;{OWNER}"
WRONG = "mesh_node_AAAAAAAA_" + "A" * 43


@dataclass(frozen=True, slots=True)
class Said:
    """One answer: its status and what it says, by name of field."""

    status: int
    body: dict[str, Any]

    @classmethod
    def of(cls, response: httpx.Response) -> Said:
        return cls(response.status_code, response.json())


class Caller:
    """Makes calls to one hub and keeps the answers in order."""

    def __init__(self, url: str, token: str) -> None:
        self.heard: list[tuple[str, Said]] = []
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> Said:
        said = Said.of(await self._http.post(path, json=body, headers=headers))
        self.heard.append((path, said))
        return said

    async def upload(self, path: str, content: bytes) -> Said:
        kind = {"Content-Type": "image/png"}
        said = Said.of(await self._http.post(path, content=content, headers=kind))
        self.heard.append((path, said))
        return said


def assert_alike(stand_in: Caller, real: Caller) -> None:
    assert len(stand_in.heard) == len(real.heard)
    for (path, ours), (_, theirs) in zip(stand_in.heard, real.heard, strict=True):
        said = f"{path}: {ours} instead of {theirs}"
        assert ours.status == theirs.status, said
        assert ours.body.get("error") == theirs.body.get("error"), said
        assert set(ours.body) <= set(theirs.body), said
        for name in ("status", "kill", "state"):
            assert ours.body.get(name) == theirs.body.get(name), said
        for name, value in ours.body.items():
            if value is not None and theirs.body[name] is not None:
                assert type(value) is type(theirs.body[name]), said


async def _bridge_calls(hub: Caller) -> None:
    """What the bridge says in a day; a reply for it waits already."""
    message = {
        "chat": CHAT, "sender": OWNER, "text": "status", "guid": "guid-1",
        "sent_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    stored = await hub.upload("/v1/files?name=a.png", b"\x89PNG")
    assert stored.body["id"]
    await hub.post("/v1/messages", message)
    await hub.post("/v1/messages", message)
    await hub.post("/v1/bridge/status", {"state": "ok", "problems": [], "version": "0.1.0"})
    await hub.post("/v1/messages", message, Authorization=f"Bearer {WRONG}")
    claimed = await hub.post("/v1/outbox/claim", {"wait_s": 5})
    item = claimed.body["items"][0]
    hub.heard.append(("an item", Said(200, item)))
    sent = {"outcome": "sent", "guid": "own-1", "claim": item["claim"]}
    await hub.post(f"/v1/outbox/{item['id']}", sent)
    await hub.post("/v1/outbox/claim", {"wait_s": 0})


async def test_the_bridges_stand_in_answers_as_the_hub_does(mesh_home: Path) -> None:
    fake = HubForBridge()
    await fake.start()
    await fake.say(CHAT, "the reply to status")
    env = {"MESH_BRIDGE__ALLOW": f'["{OWNER}"]'}
    try:
        async with (
            local_hub(mesh_home, env) as hub,
            Caller(fake.url, fake.token) as ours,
            Caller(hub.url, await hub.token(Role.BRIDGE)) as theirs,
        ):
            await _bridge_calls(ours)
            await _bridge_calls(theirs)
            assert_alike(ours, theirs)
    finally:
        await fake.stop()


async def _node_calls(hub: Caller) -> None:
    node = f"/v1/nodes/{NODE}"
    await hub.post(f"{node}/register", {"slots": 1, "instance_id": "i1"})
    await hub.post(f"{node}/heartbeat", {"running": [], "instance_id": "i1"})
    claimed = await hub.post(f"{node}/claim", {"free_slots": 1, "wait_s": 5, "instance_id": "i1"})
    lease = claimed.body["leases"][0]
    hub.heard.append(("a lease", Said(200, lease)))
    attempt = f"/v1/attempts/{lease['fence']}"
    await hub.post(f"{attempt}/start", {"runner": "claude"})
    await hub.post(f"{attempt}/output", {"first": 0, "items": [{"kind": "text", "text": "x"}]})
    asked = await hub.post(
        f"{attempt}/ask", {"kind": "tool", "summary": "Bash: ls", "tool": "Bash", "ask_id": "a"}
    )
    assert asked.body["code"]
    result = {"outcome": "ok", "text": "done"}
    await hub.post(f"{attempt}/result", result)
    await hub.post(f"{attempt}/result", result)
    await hub.post(f"{attempt}/result", result, Authorization=f"Bearer {WRONG}")


async def test_the_agents_stand_in_answers_as_the_hub_does(mesh_home: Path) -> None:
    async with scripted_hub() as fake, local_hub(mesh_home) as hub:
        await fake.offer("list the files")
        operator = OperatorApi(await hub.client())
        async with (
            operator.client,
            Caller(fake.url, "scripted") as ours,
            Caller(hub.url, await hub.token(Role.NODE, NODE)) as theirs,
        ):
            await operator.submit(SubmitTask(prompt="list the files"), idempotency_key="k")
            await _node_calls(ours)
            await _node_calls(theirs)
            assert_alike(ours, theirs)
