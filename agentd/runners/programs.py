"""Finding the program a runner starts, before every start: an upgrade moves it."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agentd.errors import RunnerUnavailableError

T = TypeVar("T")

USUAL_PLACES = (
    ".local/bin", ".claude/local", ".npm-global/bin", ".volta/bin", ".bun/bin",
    ".local/share/mise/shims", ".asdf/shims", ".local/share/fnm/aliases/default/bin",
)  # fmt: skip
"""Below HOME: where installers put a command-line tool without asking for root."""

ANSWER_WITHIN_S = 20.0
BUSY_FOR_S = 5.0
BUSY_PAUSE_S = 0.1

BAD_CPU_TYPE = 86
"""macOS: EBADARCH, which Python has no name for."""

NOT_RUNNABLE = (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP,
    errno.ETXTBSY, BAD_CPU_TYPE,
)  # fmt: skip
"""What the system says of a program that cannot be started here before somebody repairs it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Which file a program is now; another one may answer differently."""

    path: str
    real: str
    inode: int
    changed_ns: int
    size: int

    @classmethod
    def of(cls, path: str) -> Signature:
        """Raises RunnerUnavailableError when the file went away while it was looked at."""
        try:
            found = os.stat(path)
        except OSError as error:
            raise RunnerUnavailableError(why_not(path, error)) from error
        return cls(path, os.path.realpath(path), found.st_ino, found.st_mtime_ns, found.st_size)


def find_program(program: str, path: str | None) -> str | None:
    """The full path of an executable named by path or word; None when there is none."""
    found = shutil.which(str(Path(program).expanduser()), path=path)
    return None if found is None else str(Path(found).absolute())


def find_tool(program: str, environment: Mapping[str, str]) -> str | None:
    """A tool that its installer may have moved: where it is named, on the PATH, or where such
    tools are usually put."""
    path = environment.get("PATH")
    word = Path(program).name
    found = find_program(program, path) or (find_program(word, path) if word != program else None)
    if found is not None or "HOME" not in environment:
        return found
    places = os.pathsep.join(map(str, _usual_places(Path(environment["HOME"]))))
    return find_program(word, places)


def _usual_places(home: Path) -> Iterator[Path]:
    for place in USUAL_PLACES:
        yield home / place
    versions = home / ".nvm" / "versions" / "node"
    if versions.is_dir():
        for version in sorted(versions.iterdir(), key=_version, reverse=True):
            yield version / "bin"


def _version(path: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", path.name)))


def beside(program: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the program's own folder last on the PATH: a script of another place
    needs its interpreter from there."""
    folder = str(Path(program).parent)
    path = environment.get("PATH", "")
    if folder in path.split(os.pathsep):
        return dict(environment)
    return {**environment, "PATH": f"{path}{os.pathsep}{folder}" if path else folder}


async def while_busy(start: Callable[[], Awaitable[T]]) -> T:
    """Start something, again for a while when its file is just being replaced."""
    end = time.monotonic() + BUSY_FOR_S
    while True:
        try:
            return await start()
        except OSError as error:
            if error.errno != errno.ETXTBSY or time.monotonic() > end:
                raise
        await asyncio.sleep(BUSY_PAUSE_S)


async def must_answer(program: str, environment: Mapping[str, str]) -> None:
    """Run it once for its version; raises RunnerUnavailableError when it cannot be run."""
    try:
        process = await while_busy(
            lambda: asyncio.create_subprocess_exec(
                program,
                "--version",
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        )
    except OSError as error:
        raise RunnerUnavailableError(why_not(program, error)) from error
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if code != 0:
        raise RunnerUnavailableError(
            f"{program} --version failed ({code}). Run it by hand, or install it again."
        )


def why_not(program: str, error: OSError) -> str:
    """What the system's refusal to start a program means, and what to do."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
            interpreter = _interpreter(program)
            if interpreter is not None:
                return (
                    f"{program} cannot be started: its interpreter {interpreter} is not there."
                    " Install that, or install the program again."
                )
            return f"{program} is not there. Install it again."
        case errno.EACCES | errno.EPERM:
            return (
                f"{program} may not be executed: {error.strerror}. Give the user of the agent the"
                f" right to (chmod +x {program}), or install it again."
            )
        case errno.ENOEXEC | 86:
            return (
                f"{program} is not a program this machine can run: it is damaged or for another"
                " processor. Install it again."
            )
        case errno.ETXTBSY:
            return f"{program} is being replaced. It is tried again when that is over."
    return f"{program} could not be started: {error.strerror or error}."


def _interpreter(program: str) -> str | None:
    """What the first line of a script asks for."""
    try:
        with open(program, "rb") as file:
            line = file.readline(300)
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    return line[2:].decode(errors="replace").split()[0] if line[2:].split() else None
