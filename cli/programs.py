"""How the mesh's own programs are started: with this interpreter, from wherever it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

from cli.errors import CliError, SetUpError
from common.errors import EXIT_CONFIG

TOOL_TIMEOUT_S = 30.0


def program(module: str, *arguments: str) -> list[str]:
    """The command that runs a package of ours.

    `-P` keeps the current folder off the module path: a folder named like one of our packages
    or of the standard library's must not be imported in their place.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def run_tool(argv: Sequence[str], env: Mapping[str, str], *, what: str) -> str:
    """Run one of our programs to its end and return its stdout.

    Raises CliError with the program's own last sentence when it fails.
    """
    try:
        done = subprocess.run(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CliError(f"{what} took longer than {TOOL_TIMEOUT_S:.0f} s. Try again.") from error
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    kind = SetUpError if done.returncode == EXIT_CONFIG else CliError
    raise kind(f"{what} failed: {said[-1]}")
