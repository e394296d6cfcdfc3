"""`mesh demo` as a person runs it: real processes, a real database, and nothing left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

MESH = [sys.executable, "-P", "-m", "cli"]
DEADLINE_S = 45.0


def until(condition: Callable[[], object], *, within_s: float = DEADLINE_S) -> object:
    """What `condition` says as soon as that is true."""
    ends_at = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < ends_at, f"not within {within_s} s"
        time.sleep(0.05)
    return found


def processes_of(folder: Path) -> list[str]:
    """Every living process that a demo under `folder` started, whoever its parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("MESH_HOME", "")
            words = [home, *process.cmdline()]
            if process.status() != psutil.STATUS_ZOMBIE and any(
                word.startswith(f"{folder}/mesh-demo-") for word in words
            ):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.fixture
def demo_env(clean_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Every folder of the demo lies below `tmp_path`."""
    return clean_env | {"TMPDIR": str(tmp_path)}


@contextmanager
def served(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A demo without a screen that is ready to be texted."""
    process = subprocess.Popen(
        [*MESH, "demo", "--serve"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("MESH_HOME=")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def test_the_headless_demo_plays_its_conversation_and_leaves_no_process(
    demo_env: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*MESH, "demo", "--headless"], env=demo_env, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "Traceback" not in done.stderr
    for step in (
        r"you  ▸ Which day of the week was 1 January 2000\?",
        r"mesh ◂ #1 done",
        r"you  ▸ @researcher",
        r"mesh ◂ #2 done",
        r"you  ▸ ask Say hello",
        r"mesh ◂ #3 waits for your yes",
        r"you  ▸ y\n",
        r"mesh ◂ #3 approved",
        r"mesh ◂ #3 done",
        r"you  ▸ status\n",
        r"mesh ◂ 0 running of 10 slots",
        r"you  ▸ cost\n",
        r"mesh ◂ Today \$0\.00",
        r"Every reply arrived",
        r"No model ran",
    ):
        found = re.search(step, said)
        assert found, f"{step} is missing or out of order in\n{done.stdout}"
        said = said[found.end() :]
    assert re.search(r"^\d\d:\d\d:\d\d\.\d  ", done.stdout, re.MULTILINE)
    assert all(node in done.stdout for node in ("Archon 0/5", "Rex 0/2", "Crucible 0/3"))
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("mesh-demo-*")) == []


def test_without_a_terminal_the_demo_is_headless(demo_env: dict[str, str]) -> None:
    done = subprocess.run(
        [*MESH, "demo"],
        env=demo_env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "Every reply arrived" in done.stdout


@pytest.mark.thorough
def test_with_a_part_of_a_terminal_the_demo_is_headless(demo_env: dict[str, str]) -> None:
    """`make demo 2>errors`: the control centre draws on stderr and would have no screen."""
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [*MESH, "demo"], env=demo_env, stdin=inner, stdout=inner, stderr=subprocess.DEVNULL
    )
    os.close(inner)
    seen = b""
    with contextlib.suppress(OSError):  # a terminal whose other side is closed
        while part := os.read(terminal, 65536):
            seen += part
    os.close(terminal)

    assert process.wait(timeout=20) == 0, seen.decode()
    assert b"Every reply arrived" in seen


def test_another_terminal_texts_the_running_demo(demo_env: dict[str, str]) -> None:
    with served(demo_env):
        done = subprocess.run(
            [*MESH, "demo", "text", "--", "on", "rex", "say", "hello"],
            env=demo_env,
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert done.returncode == 0, done.stderr
    assert "you  ▸ on rex say hello" in done.stdout
    assert re.search(r"mesh ◂ #1 done .* Rex", done.stdout)


def test_the_phone_shows_the_thread_and_texts_what_is_typed(demo_env: dict[str, str]) -> None:
    with served(demo_env):
        phone = subprocess.Popen(
            [*MESH, "demo", "phone"],
            env=demo_env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert phone.stdin is not None
        assert phone.stdout is not None
        phone.stdin.write("status\n")
        phone.stdin.flush()
        lines = iter(phone.stdout.readline, "")
        assert next(lines).endswith("you  ▸ status\n")
        assert "mesh ◂ 0 running of 10 slots" in next(lines)
        phone.stdin.close()

        assert phone.wait(timeout=20) == 0
        phone.stdout.close()
        assert phone.stderr is not None
        assert phone.stderr.read() == ""
        phone.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_demo_that_was_signalled(
    demo_env: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with served(demo_env) as process:
        assert len(processes_of(tmp_path)) >= 6

        process.send_signal(number)

        assert process.wait(timeout=20) == (-number if number == signal.SIGKILL else 128 + number)
        until(lambda: processes_of(tmp_path) == [], within_s=15)
        until(lambda: list(tmp_path.glob("mesh-demo-*")) == [], within_s=15)


def test_a_signal_during_the_set_up_leaves_nothing(
    demo_env: dict[str, str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [*MESH, "demo", "--headless"],
        env=demo_env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: processes_of(tmp_path))

    process.terminate()

    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    until(lambda: processes_of(tmp_path) == [], within_s=15)
    until(lambda: list(tmp_path.glob("mesh-demo-*")) == [], within_s=15)


def test_claude_is_missed_in_one_sentence(demo_env: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*MESH, "demo", "--claude"],
        env=demo_env | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.startswith("mesh: there is no claude on the PATH. Install Claude Code")
    assert done.stderr.count("\n") == 1


def test_texting_without_a_demo_says_how_to_start_one(demo_env: dict[str, str]) -> None:
    done = subprocess.run(
        [*MESH, "demo", "text", "hello"], env=demo_env, capture_output=True, text=True, timeout=20
    )

    assert done.returncode == 1
    assert done.stderr == "mesh: No demo runs. Start one in another terminal: mesh demo\n"


def test_in_a_terminal_the_demo_opens_the_control_centre(
    demo_env: dict[str, str], tmp_path: Path
) -> None:
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [*MESH, "demo"],
        env=demo_env | {"TERM": "xterm-256color"},
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    seen = b""
    ends_at = time.monotonic() + DEADLINE_S
    while b"Archon" not in seen.partition(b"\x1b[?1049h")[2]:
        assert time.monotonic() < ends_at, seen[-2000:]
        seen += os.read(terminal, 65536)

    process.send_signal(signal.SIGHUP)

    with contextlib.suppress(OSError):  # a terminal whose other side is closed
        while os.read(terminal, 65536):
            pass
    os.close(terminal)
    assert process.wait(timeout=20) == 128 + signal.SIGHUP
    until(lambda: processes_of(tmp_path) == [], within_s=15)
