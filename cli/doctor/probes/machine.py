"""Interpreter, files, disk, log-in and power of this machine."""

from __future__ import annotations

import os
import re
import shutil
import site
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from cli.doctor.facts import Disk, Files, Here, Interpreter, Login, Power, WrongMode
from cli.install.block import BEGIN, END
from cli.install.zprofile import render, zprofile_path
from cli.programs import program

TOOL_S = 1.8
"""Below the runner's own limit, so that a tool that hangs is ended and reaped."""

LARGEST_WALK = 5000
_KNOWN_PTH = re.compile(r"^(distutils-precedence|_virtualenv|__editable__.*|_.*mesh.*)\.pth$")


def interpreter(here: Here) -> Interpreter:
    return Interpreter(
        python=tuple(sys.version_info[:3]),
        sqlite=tuple(sqlite3.sqlite_version_info),
        executable=sys.executable,
        executable_pth=tuple(_strange_pth()),
    )


def _strange_pth() -> Iterator[str]:
    """`.pth` lines that begin with `import` are run at every start: an attacker's favourite."""
    for folder in site.getsitepackages():
        for file in sorted(Path(folder).glob("*.pth")):
            runs = any(line.startswith(("import ", "import\t")) for line in _lines(file))
            if runs and not _KNOWN_PTH.match(file.name):
                yield str(file)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def files(here: Here) -> Files:
    """Every file of the mesh but the tasks' own work."""
    wrong, count = [], 0
    for path in _ours(here):
        count += 1
        if (found := _wrong(path)) is not None:
            wrong.append(found)
        if count >= LARGEST_WALK:
            break
    return Files(count, tuple(wrong))


def _ours(here: Here) -> Iterator[Path]:
    for folder in dict.fromkeys((here.paths.config_dir, here.paths.state_dir)):
        if not folder.exists():
            continue
        yield folder
        for name, folders, names in os.walk(folder):
            where = Path(name)
            if where == here.paths.state_dir:
                folders[:] = [f for f in folders if f != here.paths.work_dir.name]
            yield from (where / entry for entry in (*folders, *names))


def _wrong(path: Path) -> WrongMode | None:
    try:
        info = path.lstat()
    except OSError:
        return None
    is_link, is_dir = path.is_symlink(), path.is_dir()
    wanted = 0o700 if is_dir else 0o600
    mode = info.st_mode & 0o777
    foreign = info.st_uid != os.getuid()
    if is_link or foreign:
        # A link into a dotfiles folder is a person's choice; one that leads elsewhere is not ours.
        if is_link and not foreign and path.exists() and path.stat().st_uid == os.getuid():
            return None
        return WrongMode(path, mode, wanted, info.st_uid, fixable=False)
    if mode & 0o077:
        return WrongMode(path, mode, mode & 0o700, info.st_uid, fixable=True)
    return None


def disk(here: Here) -> Disk:
    folder = here.paths.state_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    logs = here.paths.logs_dir
    log_bytes = sum(f.stat().st_size for f in logs.iterdir()) if logs.is_dir() else 0
    return Disk(
        folder=folder,
        free_mb=shutil.disk_usage(existing).free // 2**20,
        filesystem=_filesystem(existing),
        log_mb=log_bytes // 2**20,
    )


def _filesystem(path: Path) -> str:
    """The type of the file system `path` is on, by the longest mount point that holds it."""
    real = path.resolve()
    mounts = [
        (len(part.mountpoint), part.fstype)
        for part in psutil.disk_partitions(all=True)
        if real.is_relative_to(part.mountpoint)
    ]
    return max(mounts, default=(0, ""))[1]


def login(here: Here) -> Login:
    file = zprofile_path(here.env)
    try:
        content = file.read_bytes()
    except OSError:
        return Login(file)
    begins, ends = content.count(BEGIN), content.count(END)
    lock_file = here.paths.lock_file("parent")
    body = render(program("cli", "up", "--quiet"), lock_file, here.env)
    return Login(
        file, begins, current=body.encode() in content, broken=begins != ends or begins > 1
    )


def power(here: Here) -> Power:
    pmset = shutil.which("pmset", path=here.env.get("PATH"))
    if pmset is None:
        return Power()
    done = subprocess.run(
        [pmset, "-g"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOOL_S,
        check=False,
    )
    match = re.search(r"^\s*sleep\s+(\d+)", done.stdout, re.MULTILINE)
    return Power(int(match[1]) if match else None)
