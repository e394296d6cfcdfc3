"""Whether Claude Code's sandbox can run on this machine, found out by running what it needs.

macOS has its sandbox; on Linux it is bubblewrap, with socat as the way to the network's allow-list.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

PROBE_TIMEOUT_S = 10.0

SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"

BUBBLEWRAP_TRIAL = (
    "--die-with-parent",
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    *("--ro-bind", "/", "/"),
    *("--dev", "/dev"),
    *("--proc", "/proc"),
)
"""The kinds of isolation the sandbox asks of the kernel."""


@dataclass(frozen=True, slots=True)
class Ability:
    """`why`: what is missing; `remedy`: a command or a setting that changes it."""

    usable: bool
    why: str = ""
    remedy: str = ""

    @property
    def lack(self) -> str:
        """Fault and remedy as one sentence."""
        return f"{self.why}. {self.remedy}" if self.remedy else self.why


def probe_sandbox(env: Mapping[str, str], system: str | None = None) -> Ability:
    """Run the sandbox's own tools once; takes milliseconds."""
    path = env.get("PATH") or SYSTEM_PATH
    match system or platform.system():
        case "Darwin":
            return _probe_macos(path)
        case "Linux":
            return _probe_linux(path)
        case other:
            return Ability(False, f"Claude Code has no sandbox on {other}")


def _probe_macos(path: str) -> Ability:
    program = shutil.which("sandbox-exec", path=f"{path}:{SYSTEM_PATH}")
    if program is None:
        return Ability(False, "sandbox-exec, a part of macOS, is missing", "Repair macOS.")
    said = _run([program, "-p", "(version 1)(allow default)", "/usr/bin/true"], path)
    if said is None:
        return Ability(True)
    return Ability(False, f"sandbox-exec does not work here ({said})", _INSIDE_ANOTHER)


def _probe_linux(path: str) -> Ability:
    missing = [name for name in ("bwrap", "socat") if shutil.which(name, path=path) is None]
    if missing:
        packages = " and ".join("bubblewrap" if name == "bwrap" else name for name in missing)
        verb = "is" if len(missing) == 1 else "are"
        return Ability(
            False, f"{packages} {verb} not installed", "Run: sudo apt install bubblewrap socat"
        )
    bubblewrap, true = shutil.which("bwrap", path=path), shutil.which("true", path=path)
    said = _run([bubblewrap or "bwrap", *BUBBLEWRAP_TRIAL, "--", true or "/bin/true"], path)
    if said is None:
        return Ability(True)
    return Ability(False, f"bubblewrap cannot make a sandbox here ({said})", _NO_NAMESPACES)


_NO_NAMESPACES = "Allow it user namespaces (docs/TROUBLESHOOTING.md, Sandbox)."
_INSIDE_ANOTHER = "Start the agent outside any other sandbox."


def _run(command: list[str], path: str) -> str | None:
    """None when it worked, else the first line of its complaint."""
    try:
        done = subprocess.run(
            command,
            env={"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {PROBE_TIMEOUT_S:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0][:80] if lines else f"it ended with {done.returncode}"
