"""The real program on a pseudo-terminal: it starts, leaves cleanly, and says why when it cannot."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LEFT_ALTERNATE = b"\x1b[?1049l"
MOUSE_OFF = b"\x1b[?1000l"
DEADLINE_S = 40.0


class Session:
    """mesh-tui with its own pseudo-terminal; everything it wrote is in `seen`."""

    def __init__(self, env: dict[str, str], *command: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=slave, stdout=slave, stderr=slave,
            env=env | {"TERM": "xterm-256color"}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def read_until(self, text: bytes) -> None:
        end = time.monotonic() + DEADLINE_S
        while text not in self.seen:
            assert time.monotonic() < end, self.seen[-2000:]
            if not self._read(0.2) and self.process.poll() is not None:
                assert text in self.seen, self.seen[-2000:]

    def _read(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        if not ready:
            return False
        try:
            chunk = os.read(self.master, 65_536)
        except OSError:
            return False
        self.seen += chunk
        return bool(chunk)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        end = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen[-2000:]
            self._read(0.1)
        while self._read(0.05):
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def sessions(clean_env: dict[str, str]) -> Iterator[list[Session]]:
    """Sessions to be closed whatever happens."""
    opened: list[Session] = []
    yield opened
    for session in opened:
        session.close()


def start(sessions: list[Session], env: dict[str, str], *command: str) -> Session:
    session = Session(env, *(command or ("-m", "tui", "--demo")))
    sessions.append(session)
    return session


ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def env(clean_env: dict[str, str]) -> dict[str, str]:
    return clean_env | {"PYTHONPATH": ROOT}


def test_q_leaves_with_0_and_the_terminal_restored(
    sessions: list[Session], env: dict[str, str]
) -> None:
    session = start(sessions, env)
    session.read_until(b"Needs you")
    session.type(b"q")
    assert session.wait() == 0
    assert LEFT_ALTERNATE in session.seen
    assert MOUSE_OFF in session.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_the_terminal_restored(
    sessions: list[Session], env: dict[str, str], number: signal.Signals
) -> None:
    session = start(sessions, env)
    session.read_until(b"Needs you")
    session.process.send_signal(number)
    assert session.wait() == 128 + number
    assert LEFT_ALTERNATE in session.seen


def test_a_closed_terminal_ends_it(sessions: list[Session], env: dict[str, str]) -> None:
    session = start(sessions, env)
    session.read_until(b"Needs you")
    os.close(session.master)
    session.master = -1
    session.process.wait(timeout=DEADLINE_S)


BROKEN = """
import sys
from tui import launch
from tui.demo import hub

def step(self):
    raise RuntimeError("a fault of ours, secret-value")

hub.Simulation.step = step
sys.exit(launch.launch(["--demo"]))
"""


def test_a_crash_is_one_sentence_on_the_terminal_and_a_traceback_in_the_log(
    sessions: list[Session], env: dict[str, str]
) -> None:
    session = start(sessions, env, "-c", BROKEN)
    assert session.wait() == 1
    after = session.seen.rpartition(LEFT_ALTERNATE)[2]
    assert b"mesh-tui: failed: RuntimeError" in after
    assert b"Traceback" not in after
    log = Path(env["MESH_HOME"]) / "logs" / "tui.log"
    assert "in step" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_without_a_hub_it_says_what_to_type(sessions: list[Session], env: dict[str, str]) -> None:
    session = start(sessions, env, "-m", "tui")
    session.read_until(b"mesh init --yes")
    session.type(b"q")
    assert session.wait() == 0
    assert b"Traceback" not in session.seen


@pytest.mark.parametrize(
    ("name", "value", "code", "word"),
    [
        ("MESH_TUI__KEYS", '{aprove = "y"}', 78, "did you mean approve"),
        ("MESH_TUI__THEM", "x", 78, "Did you mean theme?"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(
    sessions: list[Session], env: dict[str, str], name: str, value: str, code: int, word: str
) -> None:
    session = start(sessions, env | {name: value})
    assert session.wait() == code
    assert word.encode() in session.seen
    assert b"Traceback" not in session.seen


def test_without_a_terminal_it_points_to_the_command_line(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--demo"], env=env, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs a terminal" in done.stderr
    assert "Traceback" not in done.stderr
