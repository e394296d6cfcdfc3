"""The real program on a pseudo-terminal: it starts, leaves cleanly, and says why when it cannot."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import socket
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

    def __init__(self, env: dict[str, str], *command: str, controlling: bool = True) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=slave, stdout=slave, stderr=slave,
            env=env | {"TERM": "xterm-256color"}, start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
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


def start(
    sessions: list[Session], env: dict[str, str], *command: str, controlling: bool = True
) -> Session:
    session = Session(env, *(command or ("-m", "tui", "--demo")), controlling=controlling)
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


def stop_reading(session: Session) -> None:
    """Let it paint far more than the terminal holds, and read none of it."""
    fcntl.ioctl(session.master, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 400, 0, 0))
    session.process.send_signal(signal.SIGWINCH)
    for key in b"1234512345TTTT?":
        session.type(bytes([key]))


def ended(session: Session) -> int:
    """Its code, without reading what it writes."""
    return session.process.wait(timeout=DEADLINE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_also_while_nobody_reads_what_it_paints(
    sessions: list[Session], env: dict[str, str], number: signal.Signals
) -> None:
    """Its writer hung in the full terminal, and the event loop in the writer's full queue."""
    session = start(sessions, env)
    session.read_until(b"Needs you")
    stop_reading(session)
    session.process.send_signal(number)
    assert ended(session) == 128 + number


def test_q_ends_it_also_while_nobody_reads_what_it_paints(
    sessions: list[Session], env: dict[str, str]
) -> None:
    session = start(sessions, env)
    session.read_until(b"Needs you")
    stop_reading(session)
    session.type(b"\x1bq")
    session.process.send_signal(signal.SIGTERM)
    assert ended(session) in {0, 128 + signal.SIGTERM}


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("full", [True, False])
def test_a_terminal_that_is_gone_ends_it_with_or_without_a_signal(
    sessions: list[Session], env: dict[str, str], controlling: bool, full: bool
) -> None:
    session = start(sessions, env, controlling=controlling)
    session.read_until(b"Needs you")
    if full:
        stop_reading(session)
    os.close(session.master)
    session.master = -1
    assert ended(session) == 128 + signal.SIGHUP


def until_stopped(session: Session) -> None:
    end = time.monotonic() + DEADLINE_S
    while os.waitid(os.P_PID, session.process.pid, os.WSTOPPED | os.WNOHANG) is None:
        assert time.monotonic() < end
        session._read(0.05)


@pytest.mark.parametrize("close", [True, False])
def test_what_was_suspended_ends_when_it_wakes(
    sessions: list[Session], env: dict[str, str], close: bool
) -> None:
    session = start(sessions, env)
    session.read_until(b"Needs you")
    session.process.send_signal(signal.SIGTSTP)
    until_stopped(session)
    if close:
        os.close(session.master)
        session.master = -1
    session.process.send_signal(signal.SIGTERM)
    session.process.send_signal(signal.SIGCONT)
    assert ended(session) in {128 + signal.SIGTERM, 128 + signal.SIGHUP}


@pytest.mark.parametrize("how", ["q", "signal"])
def test_a_hub_that_takes_calls_and_answers_none_holds_nobody(
    sessions: list[Session], env: dict[str, str], how: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        there = env | {"MESH_HUB_URL": url, "MESH_TOKEN": "mesh_operator_x"}
        session = start(sessions, there, "-m", "tui")
        session.read_until(b"\x1b[?1049h")
        if how == "q":
            session.type(b"q")
            assert session.wait() == 0
        else:
            session.process.send_signal(signal.SIGTERM)
            assert session.wait() == 128 + signal.SIGTERM


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
