"""The same way with the real Claude Code CLI, on a model API of our own on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.machines import Mesh, mesh_of_processes, until
from tests.fakes.model_api import ModelApi, serve_model_api

pytestmark = [pytest.mark.claude, pytest.mark.timeout(180)]


@pytest.fixture
async def model_api() -> AsyncIterator[ModelApi]:
    async with serve_model_api() as running:
        yield running


@pytest.fixture
async def mesh(
    tmp_path: Path, clean_env: dict[str, str], claude_cli: Path, model_api: ModelApi
) -> AsyncIterator[Mesh]:
    folder = tmp_path / "m"
    folder.mkdir(mode=0o700)
    runner_env = {
        "ANTHROPIC_BASE_URL": model_api.url,
        "ANTHROPIC_API_KEY": "loopback-only",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "HOME": clean_env["HOME"],
    }
    table = "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in runner_env.items()) + "}"

    def start() -> None:
        running.start_messages()
        running.start_hub()
        running.start_agent(
            "Archon",
            2,
            MESH_AGENT__RUNNER="claude",
            MESH_AGENT__CLAUDE=str(claude_cli),
            MESH_AGENT__MODEL="claude-sonnet-5-5",
            MESH_AGENT__PERMISSION_MODE="default",
            MESH_AGENT__SANDBOX="off",
            MESH_AGENT__ENV=table,
        )
        running.start_bridge()

    with mesh_of_processes(folder, clean_env) as running:
        await asyncio.to_thread(start)
        yield running


async def test_claude_answers_a_text_and_every_token_is_on_the_books(
    mesh: Mesh, model_api: ModelApi
) -> None:
    def converse() -> str:
        mesh.text("hello")
        return mesh.reply("#1 done", 60)

    answer = await asyncio.to_thread(converse)
    task = await asyncio.to_thread(mesh.get, "/v1/tasks/1")
    served = model_api.books.totals()
    assert "Archon" in answer
    assert {usage["model"] for usage in task["usage"]} == set(served)
    for usage in task["usage"]:
        billed = served[usage["model"]]
        assert usage["input_tokens"] == billed.input_tokens
        assert usage["output_tokens"] == billed.output_tokens
        assert usage["cache_read_tokens"] == billed.cache_read_input_tokens
        assert usage["cache_write_tokens"] == billed.cache_creation_input_tokens
    assert task["cost_usd"] > 0


async def test_a_tool_that_nothing_allows_is_asked_by_text_and_runs_after_the_yes(
    mesh: Mesh,
) -> None:
    def ask() -> str:
        mesh.text("[[scenario:needs_permission]] please")
        code = until(
            lambda: next(
                (a["code"] for a in mesh.get("/v1/approvals?state=pending")["approvals"]), None
            ),
            "the question",
            60,
        )
        question = mesh.reply("#1", 30)
        mesh.text(f"y {code}")
        return question + mesh.reply("#1 done", 60)

    texts = await asyncio.to_thread(ask)
    task = await asyncio.to_thread(mesh.get, "/v1/tasks/1")
    assert [a["state"] for a in task["approvals"]] == ["approved"]
    assert task["attempts"][0]["outcome"] == "ok"
    assert texts
