"""What SQLite cannot do at the moment is said as what it is; nothing is lost (case db_locked)."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.client import HubError, NodeApi, OperatorApi
from common.client import http as client_http
from common.wire.admin import Role
from common.wire.events import Entity
from common.wire.nodes import Heartbeat, RegisterNode
from common.wire.tasks import SubmitTask
from hubd.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseHeldError,
    DatabaseUnreachableError,
    StorageFullError,
)
from hubd.errors import HubError as HubSideError
from hubd.store import database as database_module
from hubd.store.database import open_database
from hubd.store.faults import translate
from hubd.store.transaction import Tx
from tests.contract.hubd.harness import local_hub
from tests.unit.hubd.hub import FakeClock

SHORT_MS = 30


@contextlib.contextmanager
def held(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's write transaction on the database."""
    link = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        link.execute("BEGIN IMMEDIATE")
        yield link
    finally:
        link.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", SHORT_MS)
    monkeypatch.setattr(database_module, "OPEN_TIMEOUT_MS", SHORT_MS)
    monkeypatch.setattr(client_http, "BUSY_PAUSE_S", 0.01)


def note(tx: Tx) -> None:
    tx.emit("note", Entity.AUDIT, "a", None)


async def test_a_lock_of_another_program_is_busy_and_passes(tmp_path: Path) -> None:
    async with open_database(tmp_path / "hub.db", clock=FakeClock()) as database:
        with held(database.path):
            with pytest.raises(DatabaseBusyError, match="another program holds") as caught:
                await database.write(note)
            assert await database.read(lambda view: view.now) > 0  # reads wait for nobody
        await database.write(note)
    assert (caught.value.status, caught.value.code) == (503, "database_busy")
    assert "Retry-After" in caught.value.headers


async def test_a_locked_database_is_not_called_damaged_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with open_database(path, clock=FakeClock()):
        pass
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseHeldError, match="another program has held") as caught:
            async with open_database(path, clock=FakeClock()):
                pass
    assert caught.value.exit_code == 1  # not 78: whoever starts the hub may try again
    async with open_database(path, clock=FakeClock()) as again:
        await again.write(note)


async def test_an_exclusive_lock_makes_reads_busy_and_not_a_fault(tmp_path: Path) -> None:
    async with open_database(tmp_path / "hub.db", clock=FakeClock()) as database:

        def busy(conn: sqlite3.Connection) -> None:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
            raise error

        with pytest.raises(DatabaseBusyError):
            await database.read(lambda view: busy(view.conn))
        with pytest.raises(DatabaseBusyError):
            await database.maintain(busy)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, DatabaseBusyError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseBusyError),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, DatabaseBusyError),
        (sqlite3.SQLITE_PROTOCOL, DatabaseBusyError),
        (sqlite3.SQLITE_INTERRUPT, DatabaseBusyError),
        (sqlite3.SQLITE_NOMEM, DatabaseBusyError),
        (sqlite3.SQLITE_FULL, StorageFullError),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFullError),
        (sqlite3.SQLITE_IOERR_READ, DatabaseUnreachableError),
        (sqlite3.SQLITE_CANTOPEN, DatabaseUnreachableError),
        (sqlite3.SQLITE_READONLY_DBMOVED, DatabaseUnreachableError),
        (sqlite3.SQLITE_PERM, DatabaseUnreachableError),
        (sqlite3.SQLITE_CORRUPT_INDEX, DatabaseDamagedError),
        (sqlite3.SQLITE_NOTADB, DatabaseDamagedError),
    ],
)
def test_every_passing_trouble_of_the_store_has_its_own_answer(
    code: int, kind: type[HubSideError]
) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    said = translate(error)
    assert type(said) is kind
    assert said.__cause__ is error
    assert kind.status in (503, 507)


def test_a_broken_rule_of_the_schema_stays_a_fault_of_the_hub() -> None:
    error = sqlite3.IntegrityError("UNIQUE constraint failed")
    error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_UNIQUE
    assert translate(error) is error
    assert translate(ValueError("no error of SQLite")) is not None


async def test_a_client_repeats_what_a_busy_hub_did_not_do(mesh_home: Path) -> None:
    async with local_hub(mesh_home) as hub:
        operator = OperatorApi(await hub.client())
        node = NodeApi(await hub.client(Role.NODE, "Rex"), "Rex")
        async with operator.client, node.client:
            await node.register(RegisterNode(slots=1))
            with held(mesh_home / "hub.db") as link:
                with pytest.raises(HubError) as caught:
                    await operator.submit(SubmitTask(prompt="x"), idempotency_key="a")
                assert caught.value.hub_code == "database_busy"
                assert await node.heartbeat(Heartbeat())  # a lease needs no disk
                late = asyncio.create_task(
                    operator.submit(SubmitTask(prompt="x"), idempotency_key="a"), name="late"
                )
                await asyncio.sleep(0)
                link.execute("ROLLBACK")
                task = await late
            again = await operator.submit(SubmitTask(prompt="x"), idempotency_key="a")
            assert again.id == task.id
