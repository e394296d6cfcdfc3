"""The short form of `tests.chaos.agent_interrupt`: each interruption once, at a moment drawn by a
fixed seed, with the real Claude Code, a real hub and two real agents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.agent_interrupt import KINDS, run


@pytest.mark.claude
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", KINDS)
async def test_interrupted_work_goes_on_in_its_session_and_folder_and_repeats_no_step(
    kind: str, tmp_path: Path, claude_cli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESH_TEST_CLAUDE", str(claude_cli))
    figures = await run(tmp_path, rounds=1, seed=3, kinds=(kind,))
    assert figures[kind].rounds == 1
