"""What every test may rely on: a private folder as home, and tools found or plainly missed."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so, and every program under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def missing_tool(what: str) -> None:
    """Skip the test and say why; where everything was installed on purpose, fail instead."""
    if os.environ.get("MESH_REQUIRE_TOOLS"):
        pytest.fail(f"{what} is required here but missing")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(scope="session")
def claude_cli() -> Path:
    """The real Claude Code CLI: MESH_TEST_CLAUDE, `.tools`, or the PATH."""
    named = os.environ.get("MESH_TEST_CLAUDE")
    candidates = [named, ROOT / ".tools/node_modules/.bin/claude", shutil.which("claude")]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return Path(candidate).absolute()
    missing_tool("the Claude Code CLI (npm install -g @anthropic-ai/claude-code@2.1.330)")
    raise AssertionError("unreachable")


@pytest.fixture
def mesh_home(tmp_path: Path) -> Path:
    """An empty MESH_HOME with the mode the programs insist on."""
    home = tmp_path / "mesh"
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """A block in which no file of this process can grow: every write fails as on a full disk."""

    @contextmanager
    def full() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full


@pytest.fixture
def clean_env(tmp_path: Path, mesh_home: Path) -> dict[str, str]:
    """An environment built from nothing, for programs under test."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MESH_HOME": str(mesh_home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
