"""Running `mesh` as a person runs it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 20.0


@dataclass(frozen=True)
class Mesh:
    """The `mesh` command with an environment of its own."""

    env: Mapping[str, str]

    @property
    def home(self) -> Path:
        return Path(self.env["MESH_HOME"])

    def __call__(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments],
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


@pytest.fixture
def mesh(clean_env: dict[str, str]) -> Mesh:
    return Mesh(clean_env)


def until(condition: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """What `condition` gives as soon as that is true."""
    ends_at = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < ends_at, f"waited {deadline_s} s for {what}"
        time.sleep(0.01)
    return value
