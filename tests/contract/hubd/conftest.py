"""Hubs for the contract tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.hubd.harness import HubProcess, RunningHub, local_hub

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def hub(mesh_home: Path) -> AsyncIterator[RunningHub]:
    """A hub in the test's own loop."""
    async with local_hub(mesh_home) as running:
        yield running


@pytest.fixture
def hub_env(clean_env: dict[str, str]) -> dict[str, str]:
    """The environment of a `mesh-hubd` process."""
    return {**clean_env, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def hub_process(mesh_home: Path, hub_env: dict[str, str]) -> Iterator[HubProcess]:
    """A `mesh-hubd` that was not started yet; it is killed at the end if it still runs."""
    process = HubProcess(mesh_home, hub_env)
    yield process
    process.close()


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One started `mesh-hubd` for a module whose tests leave no trace in each other's way."""
    home = tmp_path_factory.mktemp("mesh")
    home.chmod(0o700)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = HubProcess(home, env)
    process.start()
    yield process
    process.close()
