"""Room on the disk: with little left, new work is refused so that running work can end.

A full disk shows itself only when a commit fails, and then a result fails like a submit. So the
hub keeps a reserve: a file it gives back to the disk when room runs out, and from then on what
begins something new is refused while leases, results and reads live on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hubd.errors import StorageFullError

logger = logging.getLogger(__name__)

RESERVE_BYTES = 16 * 2**20
LOW_BYTES = 32 * 2**20
ENOUGH_BYTES = 96 * 2**20
CHECK_EVERY_S = 5.0


@dataclass(slots=True)
class Space:
    """Whether there is room for new work in `folder`."""

    folder: Path
    low: bool = False

    @property
    def reserve(self) -> Path:
        return self.folder / "reserve"

    def refuse_if_low(self) -> None:
        """Raise StorageFullError for what would begin something new."""
        if self.low:
            raise StorageFullError(
                "the hub's disk is nearly full, so it takes no new work; what runs goes on. "
                f"Free some space where {self.folder} is, then try again"
            )

    def judge(self, free_bytes: int, *, write_failed: bool) -> None:
        """Decide from the free room, reserve not counted, and whether a commit found none."""
        if not self.low and (write_failed or free_bytes < LOW_BYTES):
            self.low = True
            self.reserve.unlink(missing_ok=True)
            logger.error("disk nearly full", extra={"free_mb": free_bytes // 2**20})
        elif self.low and not write_failed and free_bytes > ENOUGH_BYTES:
            self.low = False
            logger.info("room on the disk again", extra={"free_mb": free_bytes // 2**20})
        if not self.low and not self.reserve.exists():
            self.make_reserve()

    def make_reserve(self) -> None:
        """Take the reserve from the disk; allocated, for a file with holes holds nothing."""
        temporary = self.reserve.with_suffix(".part")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                _fill(file)
            temporary.replace(self.reserve)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            logger.warning("no reserve", extra={"error": str(error)})


def _fill(file: BinaryIO) -> None:
    if sys.platform == "linux":
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        return
    for _ in range(RESERVE_BYTES // 2**20):
        file.write(b"\1" * 2**20)


def _look(space: Space, write_failed: bool) -> None:
    space.judge(shutil.disk_usage(space.folder).free, write_failed=write_failed)


async def watch_space(space: Space, write_failed: Callable[[], bool]) -> None:
    """Look every few seconds, for as long as it runs."""
    while True:
        await asyncio.to_thread(_look, space, write_failed())
        await asyncio.sleep(CHECK_EVERY_S)
