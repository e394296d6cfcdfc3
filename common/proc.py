"""Being one process among others: a lock per daemon, signals, and ending whole process groups."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import AlreadyRunningError
from common.paths import make_private_dir


@contextmanager
def single_instance(lock_file: Path, daemon: str) -> Iterator[None]:
    """Hold `lock_file` for as long as the block runs; AlreadyRunningError when another does.

    flock ends with the process, also after SIGKILL, so a stale file never blocks a start. The
    descriptor is not inherited: a child that outlives us does not hold the lock.
    """
    make_private_dir(lock_file.parent)
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunningError(
                f"{daemon} is already running (pid {pid}). Stop it with: mesh down {daemon}"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)  # a pid that is left tells of an end nobody chose
    finally:
        os.close(descriptor)


def stop_on_signals(loop: asyncio.AbstractEventLoop) -> StopSignals:
    """Count SIGTERM, SIGINT and SIGHUP instead of dying of them."""
    signals = StopSignals()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.receive, number)
    return signals


class StopSignals:
    """`first` is set by the first signal, `second` by the next: drain, then now."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.number: signal.Signals | None = None

    def receive(self, number: signal.Signals) -> None:
        if self.first.is_set():
            self.second.set()
        self.number = self.number or number
        self.first.set()


def signal_group(pgid: int, number: signal.Signals) -> bool:
    """Signal a whole process group; False when nothing of it is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, number)
        return True
    return False
