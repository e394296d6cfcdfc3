"""The bridge and the real hub: what both sides promise each other holds between the two."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imsgd.simulated.server import serving
from imsgd.simulated.world import Bubble, Shape, World
from tests.contract.imsgd.bench import OWNER, SELF, until

OWNED = {"a phone of its own": (OWNER, []), "oneself": (SELF, [SELF])}


@contextlib.asynccontextmanager
async def _running(module: str, env: dict[str, str], log: Path) -> AsyncIterator[None]:
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env=env, stderr=errors
        )
    try:
        yield
    finally:
        process.terminate()
        assert await process.wait() == 0


async def _mesh(env: dict[str, str], *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *words, env=env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answer(world: World, after: int, words: str) -> Bubble:
    """The mesh's bubble with these words, written after so many others."""

    def found() -> list[Bubble]:
        fresh = world.bubbles[after:]
        return [b for b in fresh if b.direction == "out" and not b.copy and words in b.text]

    bubbles: list[Bubble] = await until(found)
    return bubbles[0]


@pytest.mark.parametrize("whose", list(OWNED))
async def test_a_question_is_answered_by_a_reaction_on_its_bubble(
    tmp_path: Path, clean_env: dict[str, str], whose: str
) -> None:
    owner, own = OWNED[whose]
    folder = tmp_path / "messages"
    env = {
        **clean_env,
        "MESH_HUB__BIND": f"127.0.0.1:{_free_port()}",
        "MESH_BRIDGE__ALLOW": json.dumps([] if own else [owner]),
        "MESH_BRIDGE__SELF_HANDLES": json.dumps(own),
        "MESH_BRIDGE__CHAT_DB": str(folder / "chat.db"),
        "MESH_BRIDGE__OSASCRIPT": str(folder / "osascript"),
        "MESH_BRIDGE__POLL_MS": "50",
    }
    hub_log, bridge_log = tmp_path / "hub.log", tmp_path / "imsgd.log"
    async with serving(folder, owner=owner, own=own) as messages, contextlib.AsyncExitStack() as up:
        world = messages.world
        world.shape = Shape.PAIR
        await _mesh(env, "init", "--yes")
        await up.enter_async_context(_running("hubd", env, hub_log))
        await until(lambda: hub_log.exists() and "hub listening" in hub_log.read_text())
        token = (await _mesh(env, "token", "new", "--role", "bridge")).splitlines()[-1]
        bridge_env = {**env, "MESH_TOKEN": token}
        await up.enter_async_context(_running("imsgd", bridge_env, bridge_log))
        await until(lambda: '"event": "reading"' in bridge_log.read_text())

        await world.text("ask paint the shed")
        question = await _answer(world, 0, "paint the shed")
        mark = len(world.bubbles)
        await world.tapback(question.guid, "like")
        await _answer(world, mark, "approved")
        mark = len(world.bubbles)
        await world.text("stop all")
        await _answer(world, mark, "#1")
