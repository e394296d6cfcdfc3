"""The daemons' log files: written by each daemon itself, turned over when they are large.

A daemon appends through an inherited descriptor, so its log needs no living parent; the file is
turned over by copying and truncating it, which an appending writer does not notice.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from common.paths import make_private_dir

MAX_BYTES = 10_000_000
KEPT = 5


def log_file(logs_dir: Path, daemon: str) -> Path:
    return logs_dir / f"{daemon}.log"


def open_log(logs_dir: Path, daemon: str) -> int:
    """A descriptor for a daemon's stdout and stderr; the caller closes its own copy."""
    make_private_dir(logs_dir)
    return os.open(
        log_file(logs_dir, daemon),
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
        0o600,
    )


def turn_over(file: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> bool:
    """Make `file` the newest of the `kept` old ones when it is too large."""
    try:
        if file.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept - 1, 0, -1):
        older = _numbered(file, number)
        if older.exists():
            older.replace(_numbered(file, number + 1))
    copy = _numbered(file, 1)
    copy.touch(mode=0o600)
    shutil.copyfile(file, copy)
    os.truncate(file, 0)
    return True


def old_logs(file: Path) -> list[Path]:
    """The earlier parts of a log, oldest first."""
    found = [_numbered(file, number) for number in range(KEPT, 0, -1)]
    return [part for part in found if part.exists()]


def _numbered(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")


def last_complaint(file: Path, *, tail_bytes: int = 16_384) -> str | None:
    """What the last line of a log says, for a person: why a daemon ended."""
    from cli.parent.log_lines import LogLine

    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - tail_bytes))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        if line.strip():
            return LogLine.parse(line).complaint
    return None
