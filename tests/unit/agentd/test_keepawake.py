"""Keeping a Mac awake, with a stand-in for caffeinate."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agentd.keepawake import KeepAwake, caffeinate
from tests.contract.agentd.agent_process import alive, until


def leases(tmp_path: Path) -> list[int]:
    return [int(path.name) for path in (tmp_path / "leases").iterdir()]


def stand_in(tmp_path: Path) -> list[str]:
    (tmp_path / "leases").mkdir()
    return ["/bin/sh", "-c", f": > {tmp_path}/leases/$$; exec /bin/sleep 60"]


async def test_a_lease_is_renewed_while_busy_and_ends_with_the_loop(tmp_path: Path) -> None:
    keeper = KeepAwake(stand_in(tmp_path), busy=lambda: True, renew_s=0.05)
    running = asyncio.create_task(keeper.run())
    await until(lambda: len(leases(tmp_path)) >= 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not [pid for pid in leases(tmp_path) if alive(pid)]


async def test_an_idle_node_keeps_nothing_awake(tmp_path: Path) -> None:
    looked: list[int] = []

    def busy() -> bool:
        looked.append(1)
        return False

    keeper = KeepAwake(stand_in(tmp_path), busy=busy, renew_s=0.01)
    running = asyncio.create_task(keeper.run())
    await until(lambda: len(looked) >= 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert leases(tmp_path) == []


def test_where_there_is_no_caffeinate_nothing_is_kept_awake() -> None:
    assert caffeinate("ac", platform="linux") is None
    assert caffeinate("never", platform="darwin") is None
