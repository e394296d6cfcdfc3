"""Killed between any two statements of any operation, the hub comes back whole: the operation
either happened or did not, and repeating it ends where an undisturbed one ends."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hubd.errors import AlreadyAnsweredError, ConflictError, FencedError
from hubd.services import journal
from hubd.store.transaction import Tx
from tests.unit.hubd.crashes import OPERATIONS, Crash, CrashError, Operation, copy_files, crash_at
from tests.unit.hubd.hub import FakeClock, Hub, open_hub
from tests.unit.hubd.oracle import Oracle

TABLES = {
    "tasks": "id, state, attempt, crashes, faults, node, fence, cost_usd, outcome, sticky",
    "attempts": "fence, task_id, node, outcome, ended_at IS NULL, cost_usd",
    "approvals": "id, kind, state, task_id, answered_by",
    "outbox": "id, kind, chat, state, task_id, claims",
    "inbound": "id, guid, task_id",
    "costs": "fence, cost_usd, fenced",
    "usage": "fence, model, output_tokens",
    "days": "day, cost_usd",
    "nodes": "name, slots, draining, drain_note",
    "breakers": "node, state, fails, opens",
    "accounts": "name, state, pauses",
    "submissions": "key, task_id",
    "task_counts": "state, tasks",
    "lanes": "lane, queued",
}


async def dump(hub: Hub) -> dict[str, list[Any]]:
    return {
        table: sorted(await hub.rows(f"SELECT {columns} FROM {table}"), key=repr)
        for table, columns in TABLES.items()
    }


async def repeat(hub: Hub, operation: Operation) -> None:
    """As a caller does that saw no answer; being told that it happened is fine."""
    with suppress(ConflictError, AlreadyAnsweredError, FencedError):
        await operation.act(hub)


def judge(path: Path, epoch: int) -> None:
    oracle = Oracle(path, epoch)
    try:
        oracle.expected_tasks = set(oracle.seen.tasks)
        oracle.acknowledged = dict(
            oracle.conn.execute("SELECT key, task_id FROM submissions").fetchall()
        )
        costs = "SELECT fence, counted_usd FROM costs WHERE basis = 'result'"
        oracle.reported = dict(oracle.conn.execute(costs).fetchall())
        oracle.faults = {"rex": 3}
        oracle.check()
    finally:
        oracle.close()


async def crash_everywhere(operation: Operation, folder: Path) -> int:
    """Crash at each statement in turn; returns how many there were."""
    prepared = folder / "prepared.db"
    clock = FakeClock()
    async with open_hub(prepared, clock=clock) as hub:
        await operation.before(hub)
        texts, orders = hub.texts, hub.orders
    wall, mono = clock.wall, clock.mono

    async def attempt(path: Path, crash: Crash | None, *, crashed: bool = False) -> Any:
        clock = FakeClock(wall, mono)
        async with open_hub(path, clock=clock) as hub:
            hub.texts, hub.orders = texts, orders
            if crash is not None:
                crash_at(hub, crash)
            await repeat(hub, operation)
            judge(path, hub.database.epoch)
            return await dump(hub)

    undisturbed = folder / "undisturbed.db"
    copy_files(prepared, undisturbed)
    counter = Crash(undisturbed, folder / "never.db")
    expected = await attempt(undisturbed, counter)
    for at in range(1, counter.count + 1):
        victim, left = folder / f"victim-{at}.db", folder / f"left-{at}.db"
        copy_files(prepared, victim)
        crash = Crash(victim, left, at=at)
        with pytest.raises((CrashError, sqlite3.Error)):
            await attempt(victim, crash)
        async with open_hub(left, clock=FakeClock(wall, mono)) as hub:
            judge(left, hub.database.epoch)
        assert await attempt(left, None) == expected, f"crash before statement {at}"
    return counter.count


@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_a_crash_between_any_two_statements_leaves_all_or_nothing_of(
    name: str, tmp_path: Path
) -> None:
    statements = await crash_everywhere(OPERATIONS[name], tmp_path)
    assert statements >= 3, "nothing was crashed"
    shutil.rmtree(tmp_path)


async def test_a_reply_in_a_transaction_of_its_own_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = journal.reply_final

    def reply_later(tx: Tx, *args: Any) -> None:
        for statement in ("RELEASE request", "COMMIT", "BEGIN IMMEDIATE", "SAVEPOINT request"):
            tx.conn.execute(statement)
        real(tx, *args)

    monkeypatch.setattr(journal, "reply_final", reply_later)
    with pytest.raises(AssertionError):
        await crash_everywhere(OPERATIONS["result ok"], tmp_path)
