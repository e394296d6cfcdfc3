"""`parent.json`: what the parent knows of itself and its daemons, for everybody else to read."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from common.paths import MeshPaths, write_private_file


class Alive(Struct, frozen=True):
    """A process by its pid and the second it was created: a pid alone is used again."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Alive | None:
        """None when there is no such process."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def process(self) -> psutil.Process | None:
        """The process, if it still is that one and not a zombie."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < 1.0
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class DaemonRecord(Struct, frozen=True, kw_only=True):
    """`state`: starting, running (it holds its lock), elsewhere (somebody else started it),
    waiting (to be started again), degraded (crashes too often), stopping or stopped (as asked).
    `since`, `retry_at`: epoch."""

    state: str
    process: Alive | None = None
    since: float = 0.0
    restarts: int = 0
    error: str | None = None
    retry_at: float | None = None


OURS = ("starting", "running", "stopping")
"""The states of a process that a parent started."""


class ParentRecord(Struct, frozen=True, kw_only=True):
    parent: Alive
    version: str
    daemons: dict[str, DaemonRecord] = {}


def record_file(paths: MeshPaths) -> Path:
    return paths.state_dir / "parent.json"


def read_record(paths: MeshPaths) -> ParentRecord | None:
    """None when there is none, or one that this version cannot read."""
    try:
        return msgspec.json.decode(record_file(paths).read_bytes(), type=ParentRecord)
    except (OSError, msgspec.DecodeError):
        return None


def write_record(paths: MeshPaths, record: ParentRecord) -> None:
    write_private_file(record_file(paths), msgspec.json.encode(record).decode())


def living_parent(paths: MeshPaths) -> ParentRecord | None:
    """The record of a parent that runs now."""
    record = read_record(paths)
    return record if record is not None and record.parent.process() else None


def lock_holder(lock_file: Path) -> Alive | None:
    """The process a lock file names, if it is one of ours and runs.

    Nobody tries the lock itself: whoever held it for that moment would keep a starting daemon out.
    """
    try:
        pid = int(lock_file.read_text() or "0")
        process = psutil.Process(pid)
        older = process.create_time() <= lock_file.stat().st_mtime + 1.0
        ours = any(_names_a_daemon(word) for word in process.cmdline())
        living = process.status() != psutil.STATUS_ZOMBIE
        return Alive.of(pid) if older and ours and living else None
    except (OSError, ValueError, psutil.Error):
        return None


def _names_a_daemon(word: str) -> bool:
    last = word.rpartition("/")[2]
    return last.removeprefix("mesh-") in ("hubd", "agentd", "imsgd", "cli.parent")
