"""A disk that is full or nearly so: new work is refused, leases and results live on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from common.client import HubError, NodeApi, OperatorApi
from common.wire.admin import Role
from common.wire.nodes import Claim, Heartbeat, PostResult, RegisterNode, StartAttempt
from common.wire.tasks import SubmitTask, TaskState
from hubd import __main__ as program
from hubd.errors import StorageFullError
from hubd.ops.space import ENOUGH_BYTES, LOW_BYTES, RESERVE_BYTES, Space
from hubd.store.database import Database
from tests.contract.hubd.harness import local_hub

LARGE = "x" * 100_000


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Database]:
    """The databases hubs open from now on."""
    found: list[Database] = []
    original: Callable[..., AbstractAsyncContextManager[Database]] = program.open_database

    class Spy:
        def __init__(self, *args: Any, **more: Any) -> None:
            self._inner = original(*args, **more)

        async def __aenter__(self) -> Database:
            found.append(await self._inner.__aenter__())
            return found[-1]

        async def __aexit__(self, *error: Any) -> bool | None:
            return await self._inner.__aexit__(*error)

    monkeypatch.setattr(program, "open_database", Spy)
    return found


def _limit(conn: sqlite3.Connection, more_pages: int) -> None:
    pages = conn.execute("PRAGMA page_count").fetchall()[0][0]
    conn.execute(f"PRAGMA max_page_count={pages + more_pages}")


async def _submit_until_refused(operator: OperatorApi, prompt: str) -> HubError:
    for number in range(1000):
        try:
            await operator.submit(SubmitTask(prompt=prompt), idempotency_key=f"b{number}")
        except HubError as error:
            return error
    raise AssertionError("never refused")


async def test_on_a_full_disk_submits_get_507_and_a_running_attempt_keeps_its_lease(
    mesh_home: Path, opened: list[Database]
) -> None:
    async with local_hub(mesh_home) as hub:
        operator = OperatorApi(await hub.client())
        node = NodeApi(await hub.client(Role.NODE, "Rex"), "Rex")
        async with operator.client, node.client:
            await node.register(RegisterNode(slots=1))
            await node.heartbeat(Heartbeat())
            task = await operator.submit(SubmitTask(prompt="x"), idempotency_key="a")
            (lease,) = (await node.claim(Claim(free_slots=1, wait_s=5))).leases
            await node.start(lease.fence, StartAttempt())
            writer = opened[0]._writer
            await writer.run(lambda conn: _limit(conn, 3))

            full = await _submit_until_refused(operator, LARGE)
            assert (full.hub_status, full.hub_code) == (507, "storage_full")
            assert (await operator.snapshot()).hub.disk_full
            assert "mesh_disk_full 1.0" in (await operator.client.raw.get("/metrics")).text
            beat = await node.heartbeat(Heartbeat(running=[lease.fence]))
            assert beat.kill == []
            assert (await operator.task(task.id)).state is TaskState.RUNNING

            await writer.run(lambda conn: _limit(conn, 10_000))
            await node.result(lease.fence, PostResult(outcome="ok", text="done"))
            await operator.submit(SubmitTask(prompt=LARGE), idempotency_key="c")
            assert (await operator.task(task.id)).state is TaskState.SUCCEEDED
            assert not (await operator.snapshot()).hub.disk_full


async def test_with_little_room_left_new_work_is_refused_and_results_are_not(
    mesh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubd.ops.space.CHECK_EVERY_S", 0.01)
    async with local_hub(mesh_home) as hub:
        operator = OperatorApi(await hub.client())
        node = NodeApi(await hub.client(Role.NODE, "Rex"), "Rex")
        async with operator.client, node.client:
            await node.register(RegisterNode(slots=1))
            await node.heartbeat(Heartbeat())
            await operator.submit(SubmitTask(prompt="x"), idempotency_key="a")
            (lease,) = (await node.claim(Claim(free_slots=1, wait_s=5))).leases
            monkeypatch.setattr("hubd.ops.space.ENOUGH_BYTES", 2**63)
            monkeypatch.setattr("hubd.ops.space.LOW_BYTES", 2**62)
            refused = await _submit_until_refused(operator, "y")
            assert (refused.hub_status, refused.hub_code) == (507, "storage_full")
            assert (await operator.snapshot()).hub.disk_full
            await node.start(lease.fence, StartAttempt())
            assert (await node.result(lease.fence, PostResult(outcome="ok"))).status == "applied"


def test_the_reserve_is_held_given_back_when_room_runs_out_and_taken_again(tmp_path: Path) -> None:
    space = Space(tmp_path)
    space.judge(ENOUGH_BYTES * 2, write_failed=False)
    space.refuse_if_low()
    assert space.reserve.stat().st_blocks * 512 >= RESERVE_BYTES

    space.judge(LOW_BYTES - 1, write_failed=False)
    assert not space.reserve.exists()
    with pytest.raises(StorageFullError, match="nearly full"):
        space.refuse_if_low()

    space.judge(LOW_BYTES + RESERVE_BYTES, write_failed=False)
    assert space.low
    space.judge(ENOUGH_BYTES + 1, write_failed=False)
    space.refuse_if_low()
    assert space.reserve.exists()


def test_a_failed_commit_counts_for_more_than_what_the_disk_says(tmp_path: Path) -> None:
    space = Space(tmp_path)
    space.judge(ENOUGH_BYTES * 2, write_failed=True)
    assert space.low
