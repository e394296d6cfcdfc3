"""Fixtures of the agent's contract tests: a scripted hub, the model API, an agent's environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.agentd.scripted_hub import ScriptedHub, scripted_hub
from tests.fakes.model_api import ModelApi, serve_model_api

MODEL = "claude-sonnet-5-5"


@pytest.fixture
async def hub() -> AsyncIterator[ScriptedHub]:
    async with scripted_hub() as running:
        yield running


@pytest.fixture
async def model_api() -> AsyncIterator[ModelApi]:
    async with serve_model_api() as running:
        yield running


@pytest.fixture
def claude_settings(
    claude_cli: Path, model_api: ModelApi, clean_env: dict[str, str]
) -> dict[str, object]:
    """`[agent]` for the real CLI against the loopback model API, with short retries.

    Without the sandbox, so that these tests ask the same questions on every machine; what it
    changes is tested in `test_claude_sandbox`.
    """
    return {
        "runner": "claude",
        "claude": str(claude_cli),
        "model": MODEL,
        "sandbox": "off",
        "env": {
            "ANTHROPIC_BASE_URL": model_api.url,
            "ANTHROPIC_API_KEY": "loopback-only",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "HOME": clean_env["HOME"],
        },
    }


@pytest.fixture
def free_hands(claude_settings: dict[str, object]) -> dict[str, object]:
    """The same with every shell command allowed."""
    return claude_settings | {"allowed_tools": ["Bash"]}
