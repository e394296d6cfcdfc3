"""What the block in `.zprofile` adds to the start of an interactive login shell."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.install.zprofile import install, render

STARTS = 200
RUNNING_TARGET_S = 0.005
STOPPED_TARGET_S = 0.050


@dataclass(frozen=True, slots=True)
class Added:
    """Start-up times in seconds, measured in turns: without the block, and with it."""

    name: str
    without: list[float]
    with_block: list[float]
    target_s: float

    @property
    def added_s(self) -> float:
        """At the 95th percentile, as a person notices the slow ones."""
        return p95(self.with_block) - p95(self.without)

    @property
    def missed(self) -> bool:
        return self.added_s > self.target_s

    def line(self) -> str:
        return (
            f"{self.name:16} {self.added_s * 1000:+.1f} ms at p95"
            f" ({statistics.median(self.with_block) * 1000 - _ms(self.without):+.1f} at p50) over"
            f" {len(self.without)} starts; without {_ms(self.without):.1f} /"
            f" {p95(self.without) * 1000:.1f}, with {_ms(self.with_block):.1f} /"
            f" {p95(self.with_block) * 1000:.1f} ms p50 / p95"
            f" (target {self.target_s * 1000:.0f} ms)"
        )


def p95(times_s: list[float]) -> float:
    return statistics.quantiles(times_s, n=20)[-1]


def _ms(times_s: list[float]) -> float:
    return statistics.median(times_s) * 1000


def measure(folder: Path, *, starts: int = STARTS) -> Iterator[Added]:
    """While the mesh runs, and while it does not and is to be started."""
    bare, blocked = _home(folder / "bare"), _home(folder / "blocked")
    lock = blocked / "parent.lock"
    starter = blocked / "mesh"
    starter.write_text("#!/bin/sh\nexit 0\n")
    starter.chmod(0o755)
    install(blocked / ".zprofile", render([str(starter), "up", "--quiet"], lock, {}))
    with _running(lock):
        yield Added("prompt, running", *_in_turns(bare, blocked, starts), RUNNING_TARGET_S)
    yield Added("prompt, stopped", *_in_turns(bare, blocked, starts), STOPPED_TARGET_S)


def _home(folder: Path) -> Path:
    """What a person without settings has; without it zsh greets a newcomer."""
    folder.mkdir()
    (folder / ".zshrc").touch()
    return folder


@contextmanager
def _running(lock: Path) -> Iterator[None]:
    """As a parent that is alive leaves its lock."""
    lock.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        lock.unlink()


def _in_turns(bare: Path, blocked: Path, starts: int) -> tuple[list[float], list[float]]:
    _open(bare), _open(blocked)  # from the disk, once
    pairs = [(_open(bare), _open(blocked)) for _ in range(starts)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _open(home: Path) -> float:
    """Seconds until the shell of a new Ghostty window has come up and ended."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "TERM": "xterm-256color",
        "GHOSTTY_RESOURCES_DIR": "/Applications/Ghostty.app/Contents/Resources/ghostty",
    }
    began = time.perf_counter()
    done = subprocess.run(
        ["zsh", "-ilc", "true"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    took_s = time.perf_counter() - began
    assert (done.stdout, done.stderr) == (b"", b"")
    return took_s


def has_zsh() -> bool:
    return shutil.which("zsh") is not None
