"""What is known of each running attempt, on disk: what a killed agentd leaves to its successor."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from common.paths import make_private_dir, write_private_file
from common.wire.nodes import PostResult
from common.wire.tasks import Outcome, Usage

logger = logging.getLogger(__name__)

SUFFIX = ".attempt.json"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One started attempt."""

    fence: int
    task_id: int
    runner: str
    folder: str
    session_id: str | None = None
    message_id: str | None = None
    """What was said first in it: from there on all is this attempt's."""
    pid: int | None = None
    usage: list[Usage] = []

    @property
    def place(self) -> Path | None:
        """The folder it works in, once it has one."""
        return Path(self.folder) if self.folder else None


class Journal:
    """One private file an attempt, there from its start until its result is in the spool."""

    def __init__(self, folder: Path) -> None:
        self.folder = make_private_dir(folder)

    def open(self, entry: Entry) -> None:
        """The first write of an attempt, forced to the disk; raises OSError."""
        write_private_file(self._path(entry.fence), msgspec.json.encode(entry).decode())

    def write(self, entry: Entry) -> None:
        """Whole or not at all, but not forced to the disk: after a power cut nothing runs."""
        path = self._path(entry.fence)
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(entry))
        temporary.replace(path)

    def remove(self, fence: int) -> None:
        self._path(fence).unlink(missing_ok=True)

    def left_over(self) -> list[Entry]:
        """Attempts of a predecessor that did not live to report them."""
        return read_entries(self.folder)

    def _path(self, fence: int) -> Path:
        return self.folder / f"{fence}{SUFFIX}"


def read_entries(folder: Path) -> list[Entry]:
    """The attempts noted in one agent's journal; what cannot be read is skipped."""
    entries = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            entries.append(msgspec.json.decode(path.read_bytes(), type=Entry))
        except (OSError, msgspec.DecodeError):
            logger.warning("journal entry unreadable", extra={"file": str(path)})
    return entries


def places_in_use(state_dir: Path) -> set[Path]:
    """Folders in which attempts of any agent of this machine work."""
    journals = state_dir.glob("agentd-*/attempts")
    entries = (entry for journal in journals for entry in read_entries(journal))
    return {entry.place for entry in entries if entry.place is not None}


def lost_result(entry: Entry) -> PostResult:
    """The result of an attempt whose agentd was killed under it."""
    return PostResult(
        outcome=Outcome.LOST,
        usage=entry.usage,
        session_id=entry.session_id,
        runner=entry.runner,
        partial=True,
        error="agentd was killed while this ran; what was left of it has been ended.",
    )
