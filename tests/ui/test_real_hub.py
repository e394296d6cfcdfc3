"""The real program in tmux, typed into like a person, against a real hub and a real agent."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing_tool
from tests.e2e.machines import Mesh, mesh_of_processes, until

ROOT = Path(__file__).parents[2]


class Tmux:
    """One tmux server of our own with mesh-tui in it."""

    def __init__(self, folder: Path, env: dict[str, str], *, columns: int, lines: int) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux.sock"), "-f", os.devnull]
        pairs = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
        command = f"env -i {pairs} TERM=screen-256color {shlex.quote(sys.executable)} -m tui"
        self._run(
            "new-session", "-d", "-x", str(columns), "-y", str(lines),
            f"{command}; echo left with $?; cat",
        )  # fmt: skip

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def shows(self, text: str) -> None:
        try:
            until(lambda: text in self.screen(), f"{text!r} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def type(self, text: str) -> None:
        self._run("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def press_until(self, key: str, done: Callable[[], bool]) -> None:
        """Press a deciding key as a person does: alone, and again if it came too early to count."""
        for _ in range(20):
            self.press(key)
            ends_at = time.monotonic() + 1.0
            while time.monotonic() < ends_at:
                if done():
                    return
        raise AssertionError(f"nothing came of {key}:\n{self.screen()}")

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def mesh(tmp_path: Path, clean_env: dict[str, str]) -> Iterator[Mesh]:
    env = clean_env | {"PYTHONPATH": str(ROOT)}
    folder = tmp_path / "machines"
    folder.mkdir(mode=0o700)
    with mesh_of_processes(folder, env) as started:
        yield started


@pytest.fixture
def tmux(mesh: Mesh, tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        missing_tool("tmux")
    mesh.start_hub()
    mesh.start_agent("Archon", 2, MESH_AGENT__RUNNER="rehearsal")
    env = mesh.env("viewer", MESH_TOKEN=mesh.operator, LANG="C.UTF-8")
    terminal = Tmux(tmp_path, env, columns=160, lines=50)
    yield terminal
    terminal.close()


@pytest.mark.timeout(180)
def test_a_task_is_typed_approved_and_seen_to_finish(mesh: Mesh, tmux: Tmux) -> None:
    tmux.shows("● live")
    tmux.shows("Archon")
    made = mesh.post("/v1/tasks", {"prompt": "count the [red] apples", "approval": True})
    tmux.shows("count the [red] apples")
    tmux.press("a")
    tmux.press_until("y", lambda: "confirmed" in tmux.screen())
    until(lambda: mesh.get(f"/v1/tasks/{made['id']}")["state"] == "succeeded", "the task to end")
    tmux.shows("✓ succeeded")
    tmux.press("t")
    tmux.shows("New task")
    tmux.type("sum the pears")
    tmux.shows("sum the pears")
    tmux.press_until(
        "C-s",
        lambda: any(t["prompt"] == "sum the pears" for t in mesh.get("/v1/tasks")["tasks"]),
    )
    tmux.press("H")
    tmux.shows("Hold dispatch?")
    tmux.press_until("Enter", lambda: "HOLD" in tmux.screen())
    tmux.press("q")
    tmux.shows("left with 0")


@pytest.mark.timeout(180)
def test_a_restart_of_the_hub_is_shown_and_survived(mesh: Mesh, tmux: Tmux) -> None:
    tmux.shows("● live")
    mesh.programs["hub"].stop()
    tmux.shows("NOT LIVE")
    assert "● live" not in tmux.screen()
    mesh.start_hub()
    tmux.shows("● live")
    mesh.post("/v1/tasks", {"prompt": "after the restart"})
    tmux.shows("after the restart")
