"""A program on a pseudo-terminal of its own, watched from outside."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from types import TracebackType
from typing import Self

import psutil

DEADLINE_S = 60.0


class Terminal:
    """160x50 by default; `read_until` gives the moment at which a text was first seen."""

    def __init__(self, *module: str, columns: int = 160, lines: int = 50) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="mesh-bench-")
        os.chmod(self._home.name, 0o700)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *module], stdin=slave, stdout=slave, stderr=slave,
            env={"PATH": os.environ["PATH"], "HOME": self._home.name, "LANG": "C.UTF-8",
                 "MESH_HOME": self._home.name, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.usage = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 10
        while self._process.poll() is None and time.monotonic() < end:
            self.drain(0.05)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)
        self._home.cleanup()

    def read_until(self, text: bytes) -> float:
        """Seconds from start to `text` on the screen."""
        seen, end = b"", time.monotonic() + DEADLINE_S
        while text not in seen:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} never came; the last was {seen[-300:]!r}")
            seen += self._read(0.5)
        return time.perf_counter() - self.began

    def press(self, key: bytes, paints: bytes) -> float:
        """Seconds from a key to the first output that holds `paints`."""
        self.drain(0.0)
        began = time.perf_counter()
        os.write(self._master, key)
        seen, end = b"", time.monotonic() + DEADLINE_S
        while paints not in seen and time.monotonic() < end:
            seen += self._read(0.5)
        return time.perf_counter() - began

    def drain(self, seconds: float) -> None:
        """Read and forget what it writes for that long; a full terminal would stop it."""
        end = time.monotonic() + seconds
        while True:
            self._read(max(0.0, end - time.monotonic()))
            if time.monotonic() >= end:
                return

    def _read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._master], [], [], timeout_s)
        if not ready:
            return b""
        try:
            return os.read(self._master, 1 << 20)
        except OSError:
            return b""
