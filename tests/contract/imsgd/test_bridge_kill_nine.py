"""kill -9 at any moment of two-way traffic: nothing is lost and nothing is done twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.bridge_kill import run

KILLS = int(os.environ.get("MESH_TEST_KILLS", "100"))


@pytest.mark.thorough
@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_done_twice_however_often_it_is_killed(
    tmp_path: Path, clean_env: dict[str, str]
) -> None:
    seen = await run(tmp_path, clean_env, kills=KILLS, seed=20_261_124)
    assert seen.broken() == []
    assert seen.kills == KILLS
    assert seen.texts >= KILLS // 4
