from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imsgd.simulated.schema import Release
from tests.contract.imsgd.bench import SELF, SELF_MAIL, Bench, bridge_bench

RELEASES = [
    pytest.param(Release.TAHOE, id="tahoe"),
    pytest.param(Release.BIG_SUR, id="big_sur", marks=pytest.mark.thorough),
]


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Release:
    """The newest schema, and one that lacks every column added since 2020."""
    chosen: Release = request.param
    return chosen


@pytest.fixture
async def bench(
    tmp_path: Path, clean_env: dict[str, str], release: Release
) -> AsyncIterator[Bench]:
    """The owner texts from a phone with an address of its own."""
    async with bridge_bench(tmp_path, clean_env, release=release) as one:
        yield one


@pytest.fixture
async def self_bench(
    tmp_path: Path, clean_env: dict[str, str], release: Release
) -> AsyncIterator[Bench]:
    """The owner texts himself: Mac and phone share an account with two addresses."""
    async with bridge_bench(
        tmp_path, clean_env, release=release, allow=[], own=[SELF, SELF_MAIL]
    ) as one:
        yield one


@pytest.fixture
async def new_bench(tmp_path: Path, clean_env: dict[str, str]) -> AsyncIterator[Bench]:
    """Like `bench`, on the newest schema only: for what does not depend on it."""
    async with bridge_bench(tmp_path, clean_env) as one:
        yield one
