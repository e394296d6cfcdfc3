"""A hundred kills under load: nothing acknowledged is lost and nothing is applied twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.hub_kill import run


@pytest.mark.thorough
@pytest.mark.timeout(900)  # about two minutes; a busy machine may take several times that
async def test_a_hub_that_is_killed_a_hundred_times_keeps_every_promise(
    mesh_home: Path, hub_env: dict[str, str]
) -> None:
    ledger = await run(mesh_home, hub_env, kills=100, seed=7)
    assert len(ledger.submitted) > 100
    assert len(ledger.results) > 100
    assert ledger.retries > 50
