"""The block in .zprofile, under the real zsh."""

from __future__ import annotations

import os
import pty
import select
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.install.zprofile import FRESH_S, install, render, uninstall
from tests.conftest import missing_tool
from tests.contract.cli_ops.conftest import Mesh, until


class Login:
    """A home with a block that starts a stand-in, which notes each of its starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / ".zprofile"
        self.lock = folder / "state of it" / "parent.lock"
        self.lock.parent.mkdir()
        self.notes = folder / "starts"
        self.notes.touch()
        self.starter = folder / "it's a starter"
        self.starter.write_text(
            f'#!/bin/sh\necho "$* pid=$$ nice=$(nice) home=$MESH_HOME" >> "{self.notes}"\n'
            'while [ ! -e "$0.end" ]; do sleep 0.1; done\n'
        )
        self.starter.chmod(0o755)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ZDOTDIR": str(folder),
            "TERM": "xterm-256color",
            "GHOSTTY_RESOURCES_DIR": "/Applications/Ghostty.app/Contents/Resources/ghostty",
        }

    def install(self) -> None:
        command = [str(self.starter), "up", "--quiet"]
        install(self.profile, render(command, self.lock, {"MESH_HOME": "/a home"}))

    def open(self, *, code: str = "true", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["zsh", "-ilc", code],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def starts(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def login(tmp_path: Path) -> Iterator[Login]:
    if shutil.which("zsh") is None:
        missing_tool("zsh")
    folder = tmp_path / "home"
    folder.mkdir()
    opened = Login(folder)
    yield opened
    opened.starter.with_name(opened.starter.name + ".end").touch()


def test_a_new_window_starts_the_mesh_in_the_background_without_a_word(login: Login) -> None:
    login.install()
    done = login.open()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (started,) = until(login.starts, "the start")
    assert started.startswith("up --quiet ")
    assert started.endswith("nice=0 home=/a home")


def test_while_the_mesh_runs_a_new_window_starts_nothing(login: Login) -> None:
    login.install()
    login.lock.write_text(f"{os.getpid()}\n")
    for _ in range(3):
        assert login.open().stdout == ""
    login.lock.unlink()
    login.open()
    until(login.starts, "the start once the lock is gone")
    assert len(login.starts()) == 1


@pytest.mark.parametrize("text", ["", "\n", "none\n", "-1\n", "1\n", "99999999\n", "$(touch X)\n"])
def test_a_lock_that_names_nobody_alive_leads_to_a_start(login: Login, text: str) -> None:
    login.install()
    login.lock.write_text(text)
    assert login.open().stderr == ""
    until(login.starts, "the start")


def test_a_lock_left_from_before_a_reboot_leads_to_a_start(login: Login) -> None:
    login.install()
    login.lock.write_text(f"{os.getpid()}\n")  # a pid that somebody else has by now
    before = time.time() - FRESH_S - 5
    os.utime(login.lock, (before, before))
    login.open()
    until(login.starts, "the start")


@pytest.mark.parametrize(
    "env",
    [
        {"MESH_NO_AUTOSTART": "1"},
        {"SSH_CONNECTION": "192.0.2.1 22 192.0.2.2 50000"},
        {"SSH_TTY": "/dev/pts/1"},
        {"GHOSTTY_RESOURCES_DIR": ""},
    ],
)
def test_over_ssh_elsewhere_or_told_not_to_it_starts_nothing(
    login: Login, env: dict[str, str]
) -> None:
    login.install()
    assert login.open(**env).returncode == 0
    login.open(TERM_PROGRAM="ghostty", GHOSTTY_RESOURCES_DIR="")
    until(login.starts, "the start of the window that may")
    assert len(login.starts()) == 1


def test_a_shell_that_runs_a_script_starts_nothing(login: Login) -> None:
    login.install()
    subprocess.run(["zsh", "-lc", "true"], env=login.env, timeout=20, check=True)
    login.open()
    until(login.starts, "the start of the window")
    assert len(login.starts()) == 1


@pytest.mark.parametrize(
    "before",
    [
        "setopt err_exit no_unset ksh_arrays sh_word_split",
        "setopt ksh_glob no_bare_glob_qual noglob",
        "alias local=echo kill=echo trap=echo exec=echo cd=echo builtin=echo emulate=echo",
        "MESH_NO_AUTOSTART=; TMPPREFIX=/nowhere; unset TERM",
    ],
)
def test_whatever_the_shell_is_set_to_it_works_and_changes_nothing(
    login: Login, before: str
) -> None:
    login.profile.write_text(f"{before}\n")
    login.install()
    after = 'print -r -- "$? $(setopt | cksum) $(typeset -m "mesh*" | wc -l)" >> $HOME/after\n'
    plain = Path(f"{login.folder}/plain")
    plain.mkdir()
    (plain / ".zprofile").write_text(f"{before}\ntrue\n{after}")
    login.profile.write_bytes(login.profile.read_bytes() + after.encode())
    done, usual = login.open(), login.open(ZDOTDIR=str(plain))
    assert (done.returncode, done.stdout, done.stderr) == (0, usual.stdout, usual.stderr)
    with_block, without = (login.folder / "after").read_text().splitlines()
    assert with_block == without
    until(login.starts, "the start")


def test_the_exit_status_before_the_block_is_the_one_after_it(login: Login) -> None:
    login.profile.write_text("(exit 42)\n")
    login.install()
    login.profile.write_bytes(login.profile.read_bytes() + b'print -r -- "status $?"\n')
    assert login.open().stdout == "status 42\n"


def _break_starter(login: Login) -> None:
    login.starter.unlink()


def _break_starter_mode(login: Login) -> None:
    login.starter.chmod(0o644)


def _break_interpreter(login: Login) -> None:
    login.starter.write_text("#!/no/such/interpreter\n")


def _failing_starter(login: Login) -> None:
    login.starter.write_text("#!/bin/sh\necho loud; echo louder >&2; exit 78\n")


def _lock_is_a_folder(login: Login) -> None:
    login.lock.mkdir()


def _lock_is_a_pipe(login: Login) -> None:
    os.mkfifo(login.lock)


def _no_state(login: Login) -> None:
    login.lock.parent.rmdir()


def _lock_is_huge(login: Login) -> None:
    with login.lock.open("wb") as file:
        file.truncate(50_000_000)


@pytest.mark.parametrize(
    "breakage",
    [
        _break_starter,
        _break_starter_mode,
        _break_interpreter,
        _failing_starter,
        _lock_is_a_folder,
        _lock_is_a_pipe,
        _no_state,
        _lock_is_huge,
    ],
    ids=lambda fault: fault.__name__,
)
def test_whatever_is_broken_the_login_is_not(login: Login, breakage: object) -> None:
    login.install()
    assert callable(breakage)
    breakage(login)
    done = login.open(code="print ready")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")


def test_what_was_started_outlives_the_window_and_its_hang_up(login: Login) -> None:
    login.install()
    child, terminal = pty.fork()
    if child == 0:
        os.execve("/usr/bin/env", ["env", "zsh", "-il"], login.env)  # a real terminal
    said = _read_until(terminal, lambda: bool(login.starts()))
    os.close(terminal)  # the window is closed
    os.waitpid(child, 0)
    pid = int(login.starts()[0].partition("pid=")[2].split()[0])
    os.kill(pid, 0)
    assert b"[1]" not in said  # no line about a background job
    assert b"done" not in said


def _read_until(terminal: int, ready: object) -> bytes:
    said = b""
    ends_at = time.monotonic() + 20
    assert callable(ready)
    while not ready():
        assert time.monotonic() < ends_at, said
        if select.select([terminal], [], [], 0.05)[0]:
            said += os.read(terminal, 4096)
    return said


def test_install_and_uninstall_leave_mode_and_link_as_they_were(login: Login) -> None:
    dotfiles = login.folder / "dotfiles"
    dotfiles.mkdir()
    target = dotfiles / "zprofile"
    target.write_bytes(b"export LANG=C.UTF-8\nexport X=\xff")
    target.chmod(0o640)
    login.profile.symlink_to(target)
    login.install()
    assert login.profile.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert uninstall(login.profile)
    assert target.read_bytes() == b"export LANG=C.UTF-8\nexport X=\xff"
    assert not uninstall(login.profile)


def test_the_commands_put_the_block_in_once_and_take_it_out(mesh: Mesh) -> None:
    profile = Path(mesh.env["HOME"]) / ".zprofile"
    first = mesh("install", "zprofile")
    assert (first.returncode, first.stderr) == (0, "")
    written = profile.read_bytes()
    assert b"-m cli up --quiet" in written
    assert str(mesh.home / "parent.lock").encode() in written
    again = mesh("install", "zprofile")
    assert "was in already" in again.stdout
    assert profile.read_bytes() == written
    shown = mesh("install", "zprofile", "--print")
    assert shown.stdout in written.decode()
    assert mesh("uninstall", "zprofile").returncode == 0
    assert not profile.exists()
    assert "no block" in mesh("uninstall", "zprofile").stdout


def _running(home: Path) -> list[str]:
    """The module each of our processes of this mesh runs."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MESH_HOME") == str(home):
                words = process.cmdline()
                found.append(words[words.index("-m") + 1] if "-m" in words else words[0])
        except (psutil.Error, OSError):
            continue
    return sorted(found)


def test_eight_windows_at_once_start_one_of_each(mesh: Mesh) -> None:
    if shutil.which("zsh") is None:
        missing_tool("zsh")
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    mesh("init", "--yes", "--bind", bind, "--name", "Rex", "--runner", "rehearsal")
    mesh("install", "zprofile")
    env = {**mesh.env, "ZDOTDIR": mesh.env["HOME"], "GHOSTTY_RESOURCES_DIR": "/ghostty"}
    try:
        windows = [
            subprocess.Popen(
                ["zsh", "-ilc", "true"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            )
            for _ in range(8)
        ]
        assert [window.communicate(timeout=30)[0] for window in windows] == [b""] * 8
        whole = ["agentd", "cli.parent", "hubd"]
        until(lambda: _running(mesh.home) == whole, "one of each", 40)
        assert (mesh.home / "parent.lock").read_text().strip().isdecimal()
        subprocess.run(["zsh", "-ilc", "true"], env=env, check=True, timeout=30)
        assert _running(mesh.home) == whole
    finally:
        mesh("down", "--now")
    assert until(lambda: not _running(mesh.home), "all of it to end")
