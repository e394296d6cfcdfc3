"""Where the running demo is, so that another terminal can play its phone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.errors import CliError
from common.paths import MeshPaths, make_private_dir, write_private_file


@dataclass(frozen=True, slots=True)
class Running:
    home: Path
    messages_dir: Path


def pointer_file(env: Mapping[str, str]) -> Path:
    """In the person's own state folder, not in the demo's."""
    return MeshPaths.from_env(env).state_dir / "demo.json"


@contextmanager
def pointing(env: Mapping[str, str], running: Running) -> Iterator[None]:
    """Leave a pointer for as long as the block runs; a newer demo's stays."""
    file = pointer_file(env)
    make_private_dir(file.parent)
    content = json.dumps(
        {"pid": os.getpid(), "home": str(running.home), "messages": str(running.messages_dir)}
    )
    write_private_file(file, content)
    try:
        yield
    finally:
        if file.exists() and file.read_text() == content:
            file.unlink()


def find_running(env: Mapping[str, str]) -> Running:
    """The demo that runs now; raises CliError when there is none."""
    file = pointer_file(env)
    try:
        record = json.loads(file.read_text())
        if psutil.pid_exists(record["pid"]) and Path(record["home"]).is_dir():
            return Running(Path(record["home"]), Path(record["messages"]))
    except (OSError, ValueError, KeyError):
        pass
    raise CliError("No demo runs. Start one in another terminal: mesh demo")
