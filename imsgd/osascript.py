"""Running osascript: a constant script, the text as an argument, never longer than allowed.

The text is data all the way: the script comes on stdin and is the same for every message, the
words and the address are arguments of its `run` handler, and no shell is involved.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from common.proc import signal_group
from imsgd.domain.outcome import NOT_STARTED_TAG, ScriptResult

# Resolving the chat is a statement of its own: an error there is tagged, and proves that nothing
# was sent. The inner time limit ends the event when this process is killed meanwhile.
SEND_TO_CHAT = f"""\
on run argv
  tell application "Messages"
    try
      set theTarget to chat id (item 2 of argv)
      get id of theTarget
    on error theText number theNumber
      error "{NOT_STARTED_TAG}: " & theText number theNumber
    end try
    with timeout of 30 seconds
      send (item 1 of argv) to theTarget
    end timeout
  end tell
end run
"""

SEND_TO_PARTICIPANT = f"""\
on run argv
  tell application "Messages"
    try
      set theAccount to 1st account whose service type = iMessage
      set theTarget to participant (item 2 of argv) of theAccount
      get id of theTarget
    on error theText number theNumber
      error "{NOT_STARTED_TAG}: " & theText number theNumber
    end try
    with timeout of 30 seconds
      send (item 1 of argv) to theTarget
    end timeout
  end tell
end run
"""

COUNT_ACCOUNTS = """\
on run argv
  tell application "Messages" to count of accounts
end run
"""

_INHERITED = ("HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "__CF_USER_TEXT_ENCODING")
_STDERR_BYTES = 64 * 1024
_TERM_GRACE_S = 0.5
_DRAIN_S = 0.3


@dataclass(frozen=True, slots=True)
class Osascript:
    """`path` is absolute; `env` is where the few inherited variables are taken from."""

    path: str
    timeout_s: float
    env: Mapping[str, str]

    async def run(self, script: str, *arguments: str) -> ScriptResult:
        """Run `script`; never raises for what the program does or fails to do.

        When it takes too long, or this call is cancelled, its whole process group is ended first.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                self.path,
                "-",
                *(argument.replace("\0", "") for argument in arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return ScriptResult(None, f"{self.path}: {error}", started=False)
        errors = asyncio.create_task(_read_some(process.stderr), name="osascript stderr")
        timed_out = False
        try:
            async with asyncio.timeout(self.timeout_s):
                await _feed(process.stdin, script)
                await process.wait()
        except TimeoutError:
            timed_out = True
        finally:
            await _end_group(process)
            stderr = await _drained(errors)
        return ScriptResult(process.returncode, stderr, timed_out=timed_out)

    def _environment(self) -> dict[str, str]:
        kept = {name: self.env[name] for name in _INHERITED if name in self.env}
        return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **kept}


async def _feed(stdin: asyncio.StreamWriter | None, script: str) -> None:
    if stdin is None:
        return
    try:
        stdin.write(script.encode("ascii"))
        await stdin.drain()
        stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended without reading; its status tells


async def _read_some(stderr: asyncio.StreamReader | None) -> str:
    collected = b""
    while stderr is not None and (part := await stderr.read(4096)):
        collected = (collected + part)[:_STDERR_BYTES]
    return collected.decode("utf-8", "replace")


async def _drained(errors: asyncio.Task[str]) -> str:
    """What was written to stderr; a grandchild in a session of its own may hold it open."""
    done, _ = await asyncio.wait([errors], timeout=_DRAIN_S)
    if done:
        return errors.result()
    errors.cancel()
    await asyncio.wait([errors])
    return ""


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """Leave nothing of the group behind, also what the program started and did not wait for."""
    group = process.pid
    if process.returncode is None:
        signal_group(group, signal.SIGTERM)
        try:
            async with asyncio.timeout(_TERM_GRACE_S):
                await process.wait()
        except TimeoutError:
            pass
    if _group_lives(group):
        signal_group(group, signal.SIGKILL)
    await process.wait()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
