"""One child process in a session of its own, with pipes that cannot outlive our patience.

asyncio's own pipes make `wait()` hang while a grandchild holds them (measured on 3.11 to 3.13),
so the pipes are made here: the end of the process and the end of its output are told apart.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agentd.errors import AgentError, SpawnError, TaskError, UnfitError
from agentd.lines import LineReader
from agentd.runners.programs import NOT_RUNNABLE, while_busy, why_not
from common.proc import signal_group

STDERR_LINES = 40
STDERR_LINE_BYTES = 2**16

Pipe = tuple[asyncio.StreamReader, asyncio.ReadTransport]


class Child:
    """A running program: made by `spawn`, ended by `kill`, and always awaited by `wait`."""

    def __init__(
        self, process: Process, stdin: asyncio.StreamWriter, stdout: Pipe, stderr: Pipe
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._transports = (stdout[1], stderr[1])
        self._exit = asyncio.create_task(process.wait(), name=f"exit of {process.pid}")
        self._stderr = LineReader(stderr[0], self._exit, max_line_bytes=STDERR_LINE_BYTES)
        self._stderr_tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._complaints = asyncio.create_task(self._read_stderr(), name=f"stderr of {process.pid}")
        self.stdout = LineReader(stdout[0], self._exit)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr_tail(self) -> str:
        return "\n".join(self._stderr_tail)

    @classmethod
    async def spawn(
        cls, argv: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> Child:
        """Start `argv`. Raises UnfitError when that program cannot be run here, TaskError when
        `argv` or the environment cannot be passed, SpawnError when the system refuses."""
        stdin_read, stdin_write = os.pipe()
        stdout_read, stdout_write = os.pipe()
        stderr_read, stderr_write = os.pipe()
        try:
            process = await while_busy(
                lambda: asyncio.create_subprocess_exec(
                    *argv,
                    cwd=folder,
                    env=dict(environment),
                    stdin=stdin_read,
                    stdout=stdout_write,
                    stderr=stderr_write,
                    start_new_session=True,
                )
            )
        except BaseException as error:
            for ours in (stdin_write, stdout_read, stderr_read):
                os.close(ours)
            if isinstance(error, OSError | ValueError):
                raise _refused(argv[0], folder, error) from error
            raise
        finally:
            for theirs in (stdin_read, stdout_write, stderr_write):
                os.close(theirs)
        return cls(
            process,
            await _writer(stdin_write),
            await _reader(stdout_read),
            await _reader(stderr_read),
        )

    async def write(self, data: bytes) -> None:
        """Write to stdin; a child that closed it or ended is not an error here."""
        if self._stdin.is_closing():
            return
        with suppress(ConnectionError):
            self._stdin.write(data)
            await self._stdin.drain()

    def close_stdin(self) -> None:
        self._stdin.close()

    async def wait(self) -> int:
        """Wait for the leader's end and what it had to say on stderr, then close the pipes."""
        returncode = await asyncio.shield(self._exit)
        await asyncio.shield(self._complaints)
        await self.stdout.close()
        self._stdin.close()
        for transport in self._transports:
            transport.close()
        return returncode

    async def kill(self, *, grace_s: float) -> None:
        """TERM to the group, and KILL after `grace_s`; returns when the leader is gone."""
        self.close_stdin()
        if not self._exit.done():
            signal_group(self.pid, signal.SIGTERM)
            await asyncio.wait({self._exit}, timeout=grace_s)
        signal_group(self.pid, signal.SIGKILL)
        await asyncio.shield(self._exit)

    async def close(self) -> None:
        """Make sure that it is over and nothing of it is held: for every way out of a run."""
        if not self._exit.done():
            await self.kill(grace_s=0.0)
        await self.wait()

    async def _read_stderr(self) -> None:
        async for line in self._stderr:
            self._stderr_tail.append(line.decode(errors="replace"))
        await self._stderr.close()


def _refused(program: str, folder: Path, error: OSError | ValueError) -> AgentError:
    """Whose trouble it is that a program was not started."""
    if isinstance(error, ValueError) or error.errno == errno.E2BIG:
        return TaskError(
            f"the task cannot be passed to {program}: {error}. Its model, its specialist's file or"
            " agent.env is too long or holds a zero byte."
        )
    if error.errno in NOT_RUNNABLE and folder.is_dir():
        return UnfitError(why_not(program, error))
    return SpawnError(
        f"{program} could not be started in {folder}: {error}."
        " Check that both are there and that the machine has room for another process."
    )


async def _reader(fd: int) -> Pipe:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0)
    )
    return reader, transport


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(fd, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
