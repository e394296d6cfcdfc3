"""Collecting old work folders: by age, and by size oldest first, but never work that is nowhere
else."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import AgentError
from agentd.git import Git
from agentd.worktree import remove_worktree, unsaved_work
from common.clock import Clock

logger = logging.getLogger(__name__)

EVERY_S = 3600.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """One attempt's folder: when it was last changed at its top, and what it holds."""

    path: Path
    changed_at: float
    size_bytes: int


def list_folders(root: Path) -> list[WorkFolder]:
    """All `<task>/<fence>` folders, oldest first. Walks everything: call it in a thread."""
    found = [
        WorkFolder(path, path.stat().st_mtime, _size(path))
        for task in root.iterdir()
        if task.name.isdigit() and task.is_dir()
        for path in task.iterdir()
        if path.name.isdigit() and path.is_dir()
    ]
    return sorted(found, key=lambda folder: folder.changed_at)


def choose(
    folders: Collection[WorkFolder], *, now: float, keep_s: float, keep_bytes: int
) -> list[WorkFolder]:
    """Which folders (given oldest first) are to go: those too old, then as many as are too much."""
    held = sum(folder.size_bytes for folder in folders)
    chosen = []
    for folder in folders:
        if now - folder.changed_at > keep_s or held > keep_bytes:
            chosen.append(folder)
            held -= folder.size_bytes
    return chosen


@dataclass(frozen=True, slots=True)
class Collector:
    """Removes chosen folders once an hour; `in_use` are folders of running attempts."""

    root: Path
    clock: Clock
    keep_days: float
    keep_mb: int
    in_use: Callable[[], Collection[Path]]
    git: Callable[[], Git]
    forget_missing: Callable[[], None]
    tidy: Callable[[], Awaitable[None]]

    async def run(self) -> None:
        while True:
            await self.collect()
            await asyncio.sleep(EVERY_S)

    async def collect(self) -> None:
        folders = await asyncio.to_thread(list_folders, self.root)
        chosen = choose(
            folders,
            now=self.clock.now(),
            keep_s=self.keep_days * DAY_S,
            keep_bytes=self.keep_mb * 2**20,
        )
        for folder in chosen:
            if folder.path not in self.in_use():
                await self._remove(folder.path)
        self.forget_missing()
        await self.tidy()

    async def _remove(self, folder: Path) -> None:
        try:
            for checkout in _checkouts(folder):
                if (unsaved := await unsaved_work(self.git(), checkout)) is not None:
                    logger.info(
                        "work folder kept", extra={"folder": str(folder), "because": unsaved}
                    )
                    return
            if (folder / ".git").is_file():
                await remove_worktree(self.git(), folder)
            else:
                await asyncio.to_thread(shutil.rmtree, folder)
        except (AgentError, OSError) as error:
            logger.warning("work folder kept", extra={"folder": str(folder), "because": str(error)})
            return
        logger.info("work folder removed", extra={"folder": str(folder)})
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()


def _checkouts(folder: Path) -> Iterator[Path]:
    """Git checkouts in the folder, itself or one level down: a task may have cloned something."""
    for path in (folder, *sorted(folder.iterdir())):
        if (path / ".git").exists():
            yield path


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total
