"""Log lines: one JSON object a line for daemons; never a message body, a prompt or a token."""

from __future__ import annotations

import json
import logging
import re
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from common.clock import to_datetime

TOKEN_PATTERN = re.compile(
    r"mesh_(?:operator|viewer|node|bridge|invite)_[A-Za-z0-9]+_[A-Za-z0-9_-]{20,}"
)

_STANDARD_FIELDS = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)) | {"message": "", "asctime": ""}
)


def redact(text: str) -> str:
    """Replace every token in `text`: the last line of defence, not the rule."""
    return TOKEN_PATTERN.sub("mesh_[redacted]", text)


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "event", …extra}`; `program` names the daemon."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": to_datetime(record.created).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(
            (key, value) for key, value in vars(record).items() if key not in _STANDARD_FIELDS
        )
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, default=str, ensure_ascii=False))


def log_to_stderr(program: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send everything to stderr as JSON lines; what daemons call first."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(program))
    _install(handler, level)


def log_to_file(program: str, file: Path, *, level: str = "INFO") -> None:
    """Send everything to a rotating private file: programs that own the terminal."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    handler = RotatingFileHandler(file, maxBytes=10_000_000, backupCount=5, encoding="utf-8")
    handler.setFormatter(JsonFormatter(program))
    _install(handler, level)


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Their lines at INFO are one per request and would name URLs.
    for noisy in ("httpx", "httpcore", "hypercorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
