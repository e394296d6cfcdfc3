"""Git as agentd uses it: no hook of the repository runs, nothing is asked, nothing is inherited."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agentd import git_trouble
from agentd.errors import UnfitError, WorkspaceError
from agentd.git_trouble import Whose
from common.proc import signal_group

TIMEOUT_S = 120.0
PATIENCE_S = 10.0
"""How long another git that holds a lock is waited for."""

PAUSE_S = 0.25
SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
    "-c", "maintenance.auto=false", "-c", "submodule.recurse=false",
    "-c", "protocol.ext.allow=never",
)  # fmt: skip

PASSED_ON = ("HOME", "PATH", "LANG", "TMPDIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK")
"""SSH_AUTH_SOCK: a fetch uses the owner's keys. What a model runs never sees it."""

QUIET = {
    # Nobody is there to answer: what would ask fails instead.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GCM_INTERACTIVE": "never",
    "GIT_OPTIONAL_LOCKS": "0",
    # Complaints are read by words.
    "LC_ALL": "C.UTF-8",
}

SSH_QUIET = "-o BatchMode=yes -o ConnectTimeout=10"


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git with a fixed environment."""

    program: str
    environment: Mapping[str, str]

    @classmethod
    def found(cls, own: Mapping[str, str]) -> Git:
        """Raises UnfitError when there is no git."""
        program = shutil.which("git", path=own.get("PATH"))
        if program is None:
            raise UnfitError(
                "git is not on the PATH; projects need it. On macOS run: xcode-select --install"
            )
        passed = {name: own[name] for name in PASSED_ON if name in own}
        return cls(program, passed | QUIET)

    async def talking_ssh(self, folder: Path) -> Git:
        """The same, for commands that may use ssh: with the repository's own, but never asking."""
        code, own, _ = await self.attempt(folder, "config", "core.sshCommand")
        ssh = own.strip() if code == 0 and own.strip() else "ssh"
        return replace(
            self, environment={**self.environment, "GIT_SSH_COMMAND": f"{ssh} {SSH_QUIET}"}
        )

    async def run(self, folder: Path, *arguments: str, timeout_s: float = TIMEOUT_S) -> str:
        """The output of one git command in `folder`. Raises ProjectError for what the owner has to
        repair, WorkspaceError for the rest; another git that holds a lock is waited for."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_S
        while True:
            code, output, complaint = await self.attempt(folder, *arguments, timeout_s=timeout_s)
            if code == 0:
                return output
            passing = git_trouble.read(complaint).whose is Whose.PASSING
            if not passing or loop.time() > end:
                name = next((a for a in arguments if not a.startswith("-") and "=" not in a), "")
                raise git_trouble.explain(f"git {name} failed in {folder}", complaint)
            await asyncio.sleep(PAUSE_S)

    async def attempt(
        self, folder: Path, *arguments: str, timeout_s: float = TIMEOUT_S
    ) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of one git command."""
        try:
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
                start_new_session=True,
            )
        except OSError as error:
            raise UnfitError(
                f"git cannot be run ({error.strerror}). On macOS run: xcode-select --install"
            ) from error
        try:
            async with asyncio.timeout(timeout_s):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise WorkspaceError(
                f"git {arguments[0]} did not end in {timeout_s:.0f} s in {folder}"
            ) from error
        finally:
            if process.returncode is None:
                signal_group(process.pid, signal.SIGKILL)
                await process.wait()
        return (
            process.returncode or 0,
            output.decode(errors="replace"),
            complaint.decode(errors="replace"),
        )
