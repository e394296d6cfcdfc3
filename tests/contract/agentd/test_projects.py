"""A text for a project, through the real hub and the real agent, into its worktree."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common.client import BridgeApi, OperatorApi
from common.wire.admin import Role
from common.wire.messages import InboundMessage
from common.wire.tasks import TERMINAL_STATES
from tests.contract.agentd.agent_process import agentd
from tests.contract.agentd.scripted_hub import NODE
from tests.contract.hubd.harness import local_hub
from tests.unit.agentd.test_workspace import git

OWNER = "+15551234567"


async def test_a_text_for_a_project_works_in_its_worktree_and_not_in_an_empty_folder(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """The hub read `facts.projects` and no agent sent it: the words were run as a prompt."""
    shop = tmp_path / "shop"
    shop.mkdir()
    git(shop, "init", "-q", "-b", "main")
    (shop / "price.txt").write_text("9")
    git(shop, "add", ".")
    git(shop, "commit", "-qm", "first")
    home = tmp_path / "hub"
    home.mkdir(mode=0o700)
    allow = {"MESH_BRIDGE__ALLOW": f'["{OWNER}"]'}
    async with local_hub(home, allow) as hub:
        where: Any = SimpleNamespace(url=hub.url)
        token = await hub.token(Role.NODE, NODE)
        operator = OperatorApi(await hub.client(Role.OPERATOR))
        bridge = BridgeApi(await hub.client(Role.BRIDGE))
        running = agentd(
            where,
            clean_env,
            tmp_path,
            token=token,
            runner="command",
            command=["/bin/sh", "-c", "cat; echo; ls; git log --format=%s"],
            projects={"shop": {"path": str(shop)}},
        )
        async with operator.client, bridge.client, running, asyncio.timeout(30):
            while not any(node.facts.projects for node in (await operator.nodes()).nodes):
                pass  # each look is a request: it yields
            text = InboundMessage(
                guid="g-1",
                chat=f"iMessage;-;{OWNER}",
                sender=OWNER,
                text="in Shop@main what is the price?",
                sent_at=datetime(2026, 5, 1, tzinfo=UTC),
            )
            receipt = await bridge.deliver(text)
            assert receipt.task_id is not None
            while (done := await operator.task(receipt.task_id)).state not in TERMINAL_STATES:
                pass
            (node,) = (await operator.nodes()).nodes
    assert (done.project, done.branch) == ("shop", "main")
    assert (done.result or "").split() == ["what", "is", "the", "price?", "price.txt", "first"]
    assert [project.problem for project in node.facts.projects or ()] == [None]
