"""Git as agentd uses it: no hook of the repository runs, nothing is asked, nothing is inherited."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import WorkspaceError

TIMEOUT_S = 120.0
SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0")


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git with a fixed environment."""

    program: str
    environment: Mapping[str, str]

    @classmethod
    def found(cls, own: Mapping[str, str]) -> Git:
        """Raises WorkspaceError when there is no git."""
        program = shutil.which("git", path=own.get("PATH"))
        if program is None:
            raise WorkspaceError(
                "git is not on the PATH; projects need it. On macOS run: xcode-select --install"
            )
        passed = {name: own[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in own}
        return cls(program, passed | {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"})

    async def run(self, folder: Path, *arguments: str) -> str:
        """The output of one git command in `folder`; WorkspaceError carries git's own words."""
        code, output, complaint = await self.attempt(folder, *arguments)
        if code != 0:
            words = complaint.strip().splitlines()
            raise WorkspaceError(f"git {arguments[0]} failed in {folder}: {' '.join(words[-3:])}")
        return output

    async def attempt(self, folder: Path, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of one git command."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *SAFE,
            "-C",
            str(folder),
            *arguments,
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise WorkspaceError(
                f"git {arguments[0]} did not end in {TIMEOUT_S:.0f} s in {folder}"
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return (
            process.returncode or 0,
            output.decode(errors="replace"),
            complaint.decode(errors="replace"),
        )
