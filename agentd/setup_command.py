"""A project's `setup`: run once in each new worktree, in a process group of its own."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from agentd.errors import ProjectError
from common.proc import signal_group

TAIL_BYTES = 4000
TAIL_LINES = 25
TERM_GRACE_S = 2.0


def argv(command: str | Sequence[str]) -> tuple[str, ...]:
    """A string is a line for `sh`, as its owner would type it; a list is run as it is."""
    return ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)


async def run_setup(
    project: str,
    command: str | Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    timeout_s: float,
) -> None:
    """Raises ProjectError, with the end of what it said, when it fails or takes too long."""
    # A file and not a pipe: a server it leaves running would hold a pipe open.
    with tempfile.TemporaryFile() as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv(command),
                cwd=folder,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise _failed(project, f"cannot be run: {error.strerror}", "") from error
        try:
            async with asyncio.timeout(timeout_s):
                code = await process.wait()
        except TimeoutError as error:
            await _end(process)
            raise _failed(project, f"did not end in {timeout_s:.0f} s", _tail(output)) from error
        finally:
            await _end(process)
        if code != 0:
            raise _failed(project, f"failed (exit {code})", _tail(output))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it with all it started; what it left in its group goes too."""
    if process.returncode is None:
        signal_group(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(TERM_GRACE_S):
                await process.wait()
    signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, 2)
    output.seek(max(size - TAIL_BYTES, 0))
    lines = output.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def _failed(project: str, what: str, tail: str) -> ProjectError:
    said = f"\n{tail}" if tail else ""
    return ProjectError(
        f"the setup command of project {project} {what}. Repair it or"
        f" agent.projects.{project}.setup in mesh.toml, and retry.{said}"
    )
