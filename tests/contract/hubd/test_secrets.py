"""A canary on every road: tokens, prompts and texts are not found where they do not belong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec

from common.wire.admin import Role
from common.wire.messages import InboundMessage
from tests.contract.hubd.harness import HubProcess, issue_all

BODY = "canary-body-5f1d"


def test_no_token_and_no_body_is_found_in_logs_files_or_the_process(
    hub_process: HubProcess,
) -> None:
    home = hub_process.home
    tokens = asyncio.run(issue_all(home))
    hub_process.env["MESH_HUB__BACKUP_EVERY_S"] = "3600"
    hub_process.start()
    assert hub_process.process is not None
    with httpx.Client(base_url=hub_process.hub.url, trust_env=False) as client:
        _walk_every_road(client, tokens)
    proc = Path(f"/proc/{hub_process.process.pid}")
    if proc.exists():
        _absent(proc / "cmdline", tokens.values())
        _absent(proc / "environ", tokens.values())
    hub_process.stop()
    for file in [*home.rglob("*"), hub_process.stderr_file]:
        if file.is_file():
            _absent(file, tokens.values())
    _absent(hub_process.stderr_file, [BODY])
    events = [line["event"] for line in hub_process.lines()]
    assert "request served" in events
    served = [line for line in hub_process.lines() if line["event"] == "request served"]
    assert all(line["request_id"] for line in served)
    assert any(line.get("task_id") == 1 for line in served)


def _walk_every_road(client: httpx.Client, tokens: dict[Role, str]) -> None:
    headers = {role: {"Authorization": f"Bearer {token}"} for role, token in tokens.items()}
    operator, node, bridge = headers[Role.OPERATOR], headers[Role.NODE], headers[Role.BRIDGE]
    task = {"prompt": BODY, "title": BODY}
    assert client.post("/v1/tasks", json=task, headers=operator).status_code == 201
    client.post("/v1/tasks/1/cancel", headers=operator)
    client.post("/v1/tasks", json={"prompt": BODY, "wrong": BODY}, headers=operator)
    client.post("/v1/tasks", content=BODY, headers=operator)
    client.get("/v1/tasks", params={"q": BODY}, headers=operator)
    client.get("/v1/tasks", params={"token": tokens[Role.OPERATOR]}, headers=operator)
    client.get(f"/v1/{tokens[Role.OPERATOR]}", headers=operator)
    client.get("/v1/nodes", headers={"Authorization": f"Bearer {tokens[Role.VIEWER]}x"})
    client.get("/v1/nodes", headers=headers[Role.VIEWER])
    client.post("/v1/conversation", json={"text": BODY}, headers=operator)
    client.post("/v1/nodes/Rex/register", json={"slots": 1}, headers=node)
    client.post("/v1/attempts/5/result", json={"outcome": "ok", "text": BODY}, headers=node)
    text = InboundMessage(guid="g", chat="c", sender="+1", text=BODY, sent_at=datetime.now(UTC))
    json = {**bridge, "Content-Type": "application/json"}
    client.post("/v1/messages", content=msgspec.json.encode(text), headers=json)
    client.post("/v1/files", content=BODY.encode(), headers=bridge)


def _absent(file: Path, words: object) -> None:
    content = file.read_bytes()
    for word in words:  # type: ignore[attr-defined]
        assert word.encode() not in content, file
