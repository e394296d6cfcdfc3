"""The two doors of the database: whole transactions, shared commits, ordered events, epochs."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from common.wire.events import Entity, Event
from hubd.errors import (
    DatabaseError,
    DatabaseUnreachableError,
    NotFoundError,
    StoppingError,
    StorageFullError,
)
from hubd.store import epoch, migrate
from hubd.store.bus import Bus
from hubd.store.database import Database, open_database
from hubd.store.transaction import Tx
from tests.unit.hubd.hub import FakeClock


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "hub.db", clock=FakeClock()) as opened:
        yield opened


def note(text: str) -> None:
    def run(tx: Tx) -> None:
        tx.emit("note", Entity.AUDIT, text, None)

    return run  # type: ignore[return-value]


async def keys(database: Database) -> list[str]:
    rows = await database.read(
        lambda view: view.conn.execute("SELECT key FROM events ORDER BY seq").fetchall()
    )
    return [row[0] for row in rows]


async def test_what_a_function_raises_undoes_it_and_nothing_else(database: Database) -> None:
    def half(tx: Tx) -> None:
        tx.emit("note", Entity.AUDIT, "half", None)
        raise NotFoundError("gone")

    results = await asyncio.gather(
        database.write(note("a")),  # type: ignore[arg-type, func-returns-value]
        database.write(half),
        database.write(note("b")),  # type: ignore[arg-type, func-returns-value]
        return_exceptions=True,
    )
    assert isinstance(results[1], NotFoundError)
    assert await keys(database) == ["a", "b"]


async def test_writes_that_arrive_during_a_commit_share_the_next_one(database: Database) -> None:
    changes: set[int] = set()

    def counted(tx: Tx) -> None:
        tx.emit("note", Entity.AUDIT, "x", None)
        changes.add(tx.conn.execute("PRAGMA data_version").fetchall()[0][0])
        begun.append(tx.conn.total_changes)

    begun: list[int] = []
    before = await database.read(
        lambda view: view.conn.execute("PRAGMA data_version").fetchall()[0][0]
    )
    await asyncio.gather(*(database.write(counted) for _ in range(100)))
    after = await database.read(
        lambda view: view.conn.execute("PRAGMA data_version").fetchall()[0][0]
    )
    assert len(begun) == 100
    assert after - before < 10


async def test_a_cancelled_caller_neither_cuts_a_transaction_nor_loses_its_event(
    database: Database,
) -> None:
    heard: list[str] = []
    database.bus.listen(lambda item: heard.append(item.key) if isinstance(item, Event) else None)
    for number in range(200):
        write = asyncio.create_task(
            database.write(note(str(number)))  # type: ignore[arg-type, func-returns-value]
        )
        for _ in range(number % 4):
            await asyncio.sleep(0)
        write.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await write
    await database.write(note("last"))  # type: ignore[arg-type, func-returns-value]
    assert heard == await keys(database)
    assert heard[-1] == "last"


async def test_events_reach_the_bus_in_commit_order(database: Database) -> None:
    subscription = database.bus.subscribe(10_000)
    await asyncio.gather(
        *(database.write(note(str(n))) for n in range(300))  # type: ignore[arg-type, func-returns-value]
    )
    database.bus.close()
    seqs = [item.seq async for item in subscription if isinstance(item, Event)]
    assert seqs == list(range(1, 301))


async def test_a_reader_that_falls_behind_is_cut_off_and_holds_nobody_up() -> None:
    bus = Bus()
    slow, quick = bus.subscribe(2), bus.subscribe(100)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(bus.close)
        for number in range(5):
            bus.publish([_event(number)])
    assert slow.overflowed
    assert [item async for item in slow] == []
    assert len([item async for item in quick]) == 5


def _event(seq: int) -> Event:
    clock = FakeClock()
    conn = sqlite3.connect(":memory:")
    conn.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, at, type, entity, key, record, detail)"
    )
    event = Tx(conn, clock.now(), 1).emit("note", Entity.AUDIT, str(seq), None)
    conn.close()
    return event


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnreachableError, match="readonly"):
        await database.read(lambda view: view.conn.execute("DELETE FROM events").fetchall())


async def test_marks_that_cannot_be_saved_end_nothing_and_leave_nothing_behind(
    database: Database, tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    await database.write(note("a"))  # type: ignore[arg-type, func-returns-value]
    await database.save_marks()
    before = epoch.read_marks(database.path)
    files = set(tmp_path.iterdir())
    await database.write(note("b"))  # type: ignore[arg-type, func-returns-value]
    with full_disk():
        await database.save_marks()
    assert epoch.read_marks(database.path) == before
    assert set(tmp_path.iterdir()) == files
    async with open_database(database.path, clock=FakeClock()) as again:
        assert again.epoch == database.epoch


async def test_a_full_disk_is_said_and_survived(database: Database) -> None:
    def limit(tx: Tx) -> None:
        pages = tx.conn.execute("PRAGMA page_count").fetchall()[0][0]
        tx.conn.execute(f"PRAGMA max_page_count={pages + 2}")

    def big(tx: Tx) -> None:
        tx.emit("note", Entity.AUDIT, "x" * 200_000, None)

    await database.write(limit)
    with pytest.raises(StorageFullError, match="disk is full"):
        await database.write(big)
    assert database.disk_full
    await database.write(lambda tx: tx.conn.execute("PRAGMA max_page_count=1000000") and None)
    await database.write(big)
    assert not database.disk_full


async def test_after_closing_it_refuses_to_write(tmp_path: Path) -> None:
    async with open_database(tmp_path / "hub.db", clock=FakeClock()) as opened:
        pass
    with pytest.raises(StoppingError) as caught:
        await opened.write(lambda tx: None)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})


# -- files and schemas --------------------------------------------------------------------------


async def open_and_close(path: Path) -> int:
    async with open_database(path, clock=FakeClock()) as opened:
        await opened.write(note("x"))  # type: ignore[arg-type, func-returns-value]
        return opened.epoch


async def test_a_newer_database_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    await open_and_close(path)
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 999")
    with pytest.raises(DatabaseError, match="newer version") as caught:
        await open_and_close(path)
    assert caught.value.exit_code == 78


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(DatabaseError, match="restore"):
        await open_and_close(path)


async def test_a_database_that_vanished_is_not_replaced_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    await open_and_close(path)
    path.unlink()
    with pytest.raises(DatabaseError, match="is gone"):
        await open_and_close(path)


async def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with open_database(path, clock=FakeClock()) as opened:
        await opened.write(note("x"))  # type: ignore[arg-type, func-returns-value]
        for file in tmp_path.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file.name


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = migrate.migrations()
    newest = steps[-1][0]
    bad = (
        "BEGIN IMMEDIATE; CREATE TABLE a (x); CREATE TABLE a (x); "
        f"PRAGMA user_version={newest + 1}; COMMIT;"
    )
    steps.append((newest + 1, bad))
    monkeypatch.setattr(migrate, "migrations", lambda: steps)
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as conn:
        with pytest.raises(sqlite3.OperationalError):
            migrate.migrate(conn)
        assert migrate.user_version(conn) == newest
        tables = conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'a'").fetchall()
        assert tables == [(0,)]


def test_migrating_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as conn:
        assert migrate.migrate(conn) == [n for n, _ in migrate.migrations()]
        assert migrate.migrate(conn) == []


# -- epochs -------------------------------------------------------------------------------------


async def test_a_restart_keeps_the_epoch(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    assert await open_and_close(path) == 1
    assert await open_and_close(path) == 1


async def test_an_older_copy_and_a_clone_get_a_new_epoch(tmp_path: Path) -> None:
    path, backup = tmp_path / "hub.db", tmp_path / "backup.db"
    await open_and_close(path)
    backup.write_bytes(path.read_bytes())
    await open_and_close(path)
    path.write_bytes(backup.read_bytes())
    assert await open_and_close(path) == 2
    clone = tmp_path / "elsewhere" / "hub.db"
    clone.parent.mkdir()
    clone.write_bytes(path.read_bytes())
    assert await open_and_close(clone) == 3


@pytest.mark.parametrize(
    ("here", "noted", "expected"),
    [
        (epoch.Marks(0), None, 1),
        (epoch.Marks(0), epoch.Marks(4), 5),
        (epoch.Marks(2, 5, 9), epoch.Marks(2, 5, 9), 2),
        (epoch.Marks(2, 6, 9), epoch.Marks(2, 5, 9), 2),
        (epoch.Marks(2, 4, 9), epoch.Marks(2, 5, 9), 3),
        (epoch.Marks(2, 5, 8), epoch.Marks(2, 5, 9), 3),
        (epoch.Marks(1, 9, 99), epoch.Marks(3, 5, 9), 4),
        (epoch.Marks(5, 0, 0), epoch.Marks(3, 5, 9), 5),
        (epoch.Marks(2, 5, 9), None, 3),
    ],
)
def test_the_epoch_goes_on_only_where_the_database_is_at_or_past_its_marks(
    here: epoch.Marks, noted: epoch.Marks | None, expected: int
) -> None:
    assert epoch.next_epoch(here, noted) == expected


def test_every_migration_has_a_number_of_its_own_and_none_is_left_out() -> None:
    numbers = [number for number, _ in migrate.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_copy_can_be_made_of_a_database_as_soon_as_it_is_open(
    database: Database, tmp_path: Path
) -> None:
    """Every backup failed with "SQL statements in progress"."""
    copy = tmp_path / "copy.db"
    await database.maintain(lambda conn: conn.execute("VACUUM INTO ?", [str(copy)]).fetchall())
    assert copy.exists()
