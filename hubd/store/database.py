"""The database behind two doors: `write` for transactions and `read` for consistent reads.

Both take a synchronous function and run it whole in the connection's own thread, so nothing can
interleave with it and cancelling the caller cannot cut it in half. Writes that arrive while a
commit is under way share the next one (each in its own savepoint). Events are published in commit
order on the event loop, whatever became of their requester.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import aiosqlite

from common.clock import Clock
from common.wire.events import Event
from hubd.errors import DatabaseError, DatabaseHeldError, StoppingError, StorageFullError
from hubd.store.bus import Bus
from hubd.store.epoch import marks_path, open_epoch, read_marks, save_marks
from hubd.store.faults import is_busy, translate
from hubd.store.migrate import migrate
from hubd.store.transaction import Tx, View

logger = logging.getLogger(__name__)

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
OPEN_TIMEOUT_MS = 20_000
"""Longer, because nobody waits for an answer yet: a hub that gives up must be started again."""
MAX_BATCH = 256


class StoreConnection(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function in its thread."""

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(lambda: function(self._conn))  # type: ignore[no-untyped-call]
        return result

    async def gone(self) -> None:
        """Wait for the thread of a connection that could not be opened: it still answers to the
        event loop, which must not be closed before."""
        await asyncio.to_thread(self._thread.join)


@dataclass(eq=False, slots=True)
class Request(Generic[T]):
    """A write that waits for its turn, and after it what came of it."""

    function: Callable[[Tx], T]
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


def run_batch(
    conn: sqlite3.Connection, requests: Sequence[Request[Any]], clock: Clock, epoch: int
) -> list[Event]:
    """Run all in one transaction and return their events; what fails alone is undone alone.

    Raises what BEGIN or COMMIT raised: then nothing of the batch happened.
    """
    conn.execute("BEGIN IMMEDIATE")
    events: list[Event] = []
    try:
        for request in requests:
            events.extend(_run_one(conn, request, clock, epoch))
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    return events


def _run_one(
    conn: sqlite3.Connection, request: Request[Any], clock: Clock, epoch: int
) -> list[Event]:
    tx = Tx(conn, clock.now(), epoch)
    conn.execute("SAVEPOINT request")
    try:
        request.result = request.function(tx)
    except Exception as error:
        if not conn.in_transaction:  # SQLite itself rolled all of it back, as on a full disk
            raise
        conn.execute("ROLLBACK TO request")
        conn.execute("RELEASE request")
        request.error = translate(error)
        return []
    conn.execute("RELEASE request")
    return tx.events


class Database:
    """Open it with `open_database`. `bus` carries what was committed."""

    def __init__(
        self,
        writer: StoreConnection,
        reader: StoreConnection,
        *,
        path: Path,
        clock: Clock,
        epoch: int,
    ) -> None:
        self.path = path
        self.clock = clock
        self.epoch = epoch
        self.bus = Bus()
        self.disk_full = False
        self._writer = writer
        self._reader = reader
        self._waiting: list[Request[Any]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._pump = asyncio.create_task(self._run_pump(), name="store-writer")

    async def write(self, function: Callable[[Tx], T]) -> T:
        """Run `function` in a transaction and return what it returned once that is durable.

        What it raises undoes it. Cancelling the caller does not. Raises StorageFullError,
        DatabaseBusyError and the other errors of `hubd.store.faults`, and StoppingError once the
        database is being closed.
        """
        if self._closing:
            raise StoppingError
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        request = Request(function, future)
        self._waiting.append(request)
        self._wake.set()
        return await future

    async def read(self, function: Callable[[View], T]) -> T:
        """Run `function` on one consistent state of the database, read-only. Raises StoppingError
        once the database is being closed."""
        if self._closing:
            raise StoppingError

        def run(conn: sqlite3.Connection) -> T:
            conn.execute("BEGIN")
            try:
                return function(View(conn, self.clock.now(), self.epoch))
            finally:
                if conn.in_transaction:
                    conn.execute("COMMIT")

        return await self._on_reader(run)

    async def checkpoint(self) -> None:
        """Fold the write-ahead log into the database file and cut it to nothing."""
        try:
            await self._writer.run(
                lambda conn: conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            )
        except sqlite3.Error as error:
            raise translate(error)  # noqa: B904  its cause is set

    async def maintain(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` on the reading connection outside any transaction, as VACUUM INTO
        needs it."""
        return await self._on_reader(function)

    async def _on_reader(self, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._reader.run(function)
        except sqlite3.Error as error:
            raise translate(error)  # noqa: B904  its cause is set

    async def save_marks(self) -> None:
        """Note beside the database how far it has come, so that an older copy is recognised."""
        await self._on_reader(lambda conn: save_marks(conn, self.path))

    async def close(self) -> None:
        """Commit what waits, then close both connections."""
        self._closing = True
        self._wake.set()
        async with AsyncExitStack() as stack:  # whatever fails, no connection's thread is left
            stack.push_async_callback(self._writer.close)
            stack.push_async_callback(self._reader.close)
            stack.push_async_callback(self.save_marks)
            stack.callback(self.bus.close)
            await self._pump

    async def _run_pump(self) -> None:
        while True:
            while not self._waiting and not self._closing:
                self._wake.clear()
                await self._wake.wait()
            if not self._waiting:
                return
            batch = self._waiting[:MAX_BATCH]
            del self._waiting[:MAX_BATCH]
            await self._commit([request for request in batch if not request.future.cancelled()])

    async def _commit(self, batch: list[Request[Any]]) -> None:
        try:
            events = await self._writer.run(
                lambda conn: run_batch(conn, batch, self.clock, self.epoch)
            )
        except Exception as error:
            failure = translate(error)
            self.disk_full = isinstance(failure, StorageFullError)
            logger.error("commit failed", extra={"error": str(error), "requests": len(batch)})
            for request in batch:
                request.error = failure
        else:
            self.disk_full = any(isinstance(r.error, StorageFullError) for r in batch)
            self.bus.publish(events)
        for request in batch:
            _settle(request)


def _settle(request: Request[Any]) -> None:
    if request.future.done():
        return
    if request.error is not None:
        request.future.set_exception(request.error)
    else:
        request.future.set_result(request.result)


def _connect(path: Path, *, read_only: bool, synchronous: str) -> StoreConnection:
    def connector() -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        conn = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        conn.execute(f"PRAGMA busy_timeout={OPEN_TIMEOUT_MS}")
        conn.execute("PRAGMA foreign_keys=ON")
        if read_only:
            return conn
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"PRAGMA synchronous={synchronous}")
        conn.execute("PRAGMA journal_size_limit=67108864")
        if sys.platform == "darwin":
            conn.execute("PRAGMA fullfsync=ON")
            conn.execute("PRAGMA checkpoint_fullfsync=ON")
        return conn

    return StoreConnection(connector, iter_chunk_size=64)


def _prepare(conn: sqlite3.Connection, path: Path, now: float) -> int:
    path.chmod(0o600)
    migrate(conn)
    return open_epoch(conn, path, now)


async def _opened(connection: StoreConnection, path: Path) -> StoreConnection:
    try:
        await connection
    except sqlite3.DatabaseError as error:
        await connection.gone()
        if is_busy(error):
            raise _held(path) from error
        raise DatabaseError(
            f"{path} cannot be opened as the hub's database ({error}): move it aside and restore "
            "a backup with `mesh restore`"
        ) from error
    return connection


def _held(path: Path) -> DatabaseHeldError:
    return DatabaseHeldError(
        f"another program has held {path} for {OPEN_TIMEOUT_MS // 1000} s: close it (`lsof {path}`"
        " names it), then try again"
    )


def _check_path(path: Path) -> None:
    """A database that vanished must not be replaced by an empty one in silence."""
    marks = read_marks(path)
    if marks is not None and marks.event_seq > 0 and not path.exists():
        raise DatabaseError(
            f"{path} is gone though it was here before: restore a backup with `mesh restore`, "
            f"or delete {marks_path(path)} to begin with an empty one"
        )


@asynccontextmanager
async def open_database(
    path: Path, *, clock: Clock, synchronous: str = "FULL"
) -> AsyncIterator[Database]:
    """Open, migrate and hold the database until the block ends.

    Raises DatabaseError (exit 78) for a file that is no database, is damaged, or comes from a
    newer version, and DatabaseHeldError when another program keeps it locked.
    """
    _check_path(path)
    writer = await _opened(_connect(path, read_only=False, synchronous=synchronous), path)
    try:
        epoch = await writer.run(lambda conn: _prepare(conn, path, clock.now()))
        reader = await _opened(_connect(path, read_only=True, synchronous=synchronous), path)
    except sqlite3.DatabaseError as error:
        await writer.close()
        if is_busy(error):
            raise _held(path) from error
        raise DatabaseError(
            f"{path} is damaged ({error}): move it aside and restore a backup with `mesh restore`"
        ) from error
    except BaseException:
        await writer.close()
        raise
    for connection in (writer, reader):
        # It answers with a row: left unread it is a statement in progress, and no backup runs.
        await connection.run(
            lambda conn: conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}").fetchall()
        )
    database = Database(writer, reader, path=path, clock=clock, epoch=epoch)
    try:
        yield database
    finally:
        await database.close()
