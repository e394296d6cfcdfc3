"""What the person asked to be stopped: it stays so until they ask otherwise or start the machine.

Without this a new terminal window would start again what `mesh down` ended a minute ago.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from common.paths import MeshPaths, make_private_dir, write_private_file

SAME_BOOT_S = 60.0
"""The boot time as computed wavers when the clock is set."""


class _Wishes(Struct, frozen=True):
    boot: float
    stopped: list[str] = []


def wishes_file(paths: MeshPaths) -> Path:
    return paths.state_dir / "stopped.json"


def stopped(paths: MeshPaths) -> frozenset[str]:
    """The daemons that shall not run."""
    try:
        wishes = msgspec.json.decode(wishes_file(paths).read_bytes(), type=_Wishes)
    except (OSError, msgspec.DecodeError):
        return frozenset()
    if abs(wishes.boot - psutil.boot_time()) > SAME_BOOT_S:
        return frozenset()
    return frozenset(wishes.stopped)


def wish_stopped(paths: MeshPaths, names: Iterable[str]) -> None:
    _write(paths, stopped(paths) | set(names))


def wish_running(paths: MeshPaths, names: Iterable[str]) -> None:
    _write(paths, stopped(paths) - set(names))


def _write(paths: MeshPaths, names: Collection[str]) -> None:
    file = wishes_file(paths)
    if not names:
        file.unlink(missing_ok=True)
        return
    make_private_dir(paths.state_dir)
    wishes = _Wishes(psutil.boot_time(), sorted(names))
    write_private_file(file, msgspec.json.encode(wishes).decode())
