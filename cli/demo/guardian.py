"""Ends what a demo started when the demo is gone, however it went: SIGKILL too.

The demo holds the other end of its stdin and writes a line for each process it starts: `group
PID` for one that leads a process group, `process PID` for one that does not. When that pipe
closes, all that is left of them is ended and the demo's folder is removed. Run as
`python -m cli.demo.guardian FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

GRACE_S = 3.0
STEP_S = 0.05

MARK = "mesh-demo-"
"""How a demo's folder is called; nothing else is ever removed."""


def main(arguments: list[str]) -> int:
    (folder,) = arguments
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lines = sys.stdin.read().splitlines()
    end_all([line.split() for line in lines])
    if Path(folder).name.startswith(MARK):
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def end_all(left: list[list[str]]) -> None:
    """TERM to all, KILL to those that are still there after a moment."""
    ways = [(os.killpg if kind == "group" else os.kill, int(pid)) for kind, pid in left]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for send, pid in ways:
            _signal(send, pid, number)
        ends_at = time.monotonic() + GRACE_S
        while time.monotonic() < ends_at and any(_signal(send, pid, 0) for send, pid in ways):
            time.sleep(STEP_S)


def _signal(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Whether there was something to signal."""
    with suppress(ProcessLookupError, PermissionError):
        send(pid, number)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
