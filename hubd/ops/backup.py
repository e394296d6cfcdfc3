"""Backups while the hub runs, and the way back.

`VACUUM INTO` copies one consistent state beside the writer; a stepwise copy would start again with
every foreign write and may never end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from common.clock import Clock, to_datetime
from common.errors import MeshError
from common.paths import make_private_dir
from hubd.store.epoch import Marks, current_marks, read_marks, write_marks
from hubd.store.migrate import migrations, user_version

logger = logging.getLogger(__name__)

_NAME = re.compile(r"^hub-\d{8}T\d{6}Z(-\d+)?\.db$")


class BackupError(MeshError):
    """A backup could not be made or used."""

    code = "backup"


@dataclass(slots=True)
class BackupState:
    """What the metrics page shows of the backups."""

    last_at: float | None = None
    last_bytes: int = 0
    failures: int = 0


def backups_in(folder: Path) -> list[Path]:
    """The backups, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _NAME.match(file.name))


def too_many(files: Sequence[Path], keep: int) -> Sequence[Path]:
    """The oldest beyond the `keep` newest."""
    return files[: max(0, len(files) - keep)]


async def make_backup(path: Path, folder: Path, *, clock: Clock, keep: int) -> Path:
    """Back the database at `path` up and remove the oldest beyond `keep`; raises BackupError."""
    make_private_dir(folder)
    target = _free_name(folder, clock.now())
    temporary = target.with_suffix(".part")
    try:
        await _copy(path, temporary)
        temporary.replace(target)
    except sqlite3.Error as error:
        raise BackupError(f"no backup was made ({error}): is there room in {folder}?") from error
    finally:
        temporary.unlink(missing_ok=True)
    for old in too_many(backups_in(folder), keep):
        old.unlink(missing_ok=True)
    return target


def _free_name(folder: Path, now: float) -> Path:
    stamp = to_datetime(now).strftime("%Y%m%dT%H%M%SZ")
    target, number = folder / f"hub-{stamp}.db", 1
    while target.exists():
        target, number = folder / f"hub-{stamp}-{number}.db", number + 1
    return target


async def _copy(path: Path, target: Path) -> None:
    """`VACUUM INTO` on a connection and in a thread of its own; cancelling interrupts it."""
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        copying = asyncio.ensure_future(asyncio.to_thread(_vacuum_into, conn, target))
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            conn.interrupt()
            await asyncio.wait([copying])
            raise
    finally:
        conn.close()


def _vacuum_into(conn: sqlite3.Connection, target: Path) -> None:
    target.unlink(missing_ok=True)
    # SQLite fills an empty file and keeps its mode: this one is private from its first byte.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    conn.execute("VACUUM INTO ?", (str(target),))


async def keep_backups(
    path: Path,
    folder: Path,
    *,
    clock: Clock,
    every_s: float,
    keep: int,
    state: BackupState,
) -> None:
    """Make a backup whenever the newest is older than `every_s`, for as long as it runs."""
    while True:
        newest = max((file.stat().st_mtime for file in backups_in(folder)), default=0.0)
        state.last_at = newest or None
        due_in_s = newest + every_s - clock.now()
        if due_in_s > 0:
            await asyncio.sleep(min(due_in_s, 60.0))
            continue
        try:
            file = await make_backup(path, folder, clock=clock, keep=keep)
        except BackupError:
            state.failures += 1
            raise
        state.last_at, state.last_bytes = clock.now(), file.stat().st_size
        logger.info("backup made", extra={"file": file.name, "bytes": state.last_bytes})


def restore(backup: Path, path: Path, *, clock: Clock) -> Path | None:
    """Put `backup` in the database's place; returns where the old one was moved.

    Only while no hub runs. The marks beside the database are moved on, so that the next start
    takes a new epoch: whatever the old one handed out is stale. Raises BackupError.
    """
    here = _check_backup(backup)
    noted = read_marks(path)
    incoming = path.with_name(path.name + ".restoring")
    shutil.copyfile(backup, incoming)
    incoming.chmod(0o600)
    with incoming.open("rb") as file:
        os.fsync(file.fileno())
    aside = _move_aside(path, clock.now())
    epoch = max(here.epoch, noted.epoch if noted else 0)
    write_marks(path, Marks(epoch=epoch, fence_seq=2**62, event_seq=2**62))
    incoming.replace(path)
    return aside


def _check_backup(backup: Path) -> Marks:
    try:
        with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as conn:
            rows = conn.execute("PRAGMA integrity_check(3)").fetchall()
            if rows != [("ok",)]:
                raise BackupError(f"{backup} is damaged ({rows[0][0]}): choose another backup")
            version, newest = user_version(conn), migrations()[-1][0]
            if version == 0 or version > newest:
                raise BackupError(
                    f"{backup} has schema {version}, this hub knows 1 to {newest}: "
                    "it is no backup of a hub, or one of a newer version"
                )
            return current_marks(conn)
    except sqlite3.Error as error:
        raise BackupError(f"{backup} cannot be read as a database ({error})") from error


def _move_aside(path: Path, now: float) -> Path | None:
    """Move the database and what belongs to it away; nothing is ever deleted."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.before-{to_datetime(now):%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm", ""):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(aside.with_name(aside.name + suffix))
    return aside
