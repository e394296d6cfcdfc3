"""Starting, stopping and asking the parent: what `mesh up`, `down` and `restart` do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

import psutil

from cli.errors import CliError
from cli.parent import wishes
from cli.parent.log_files import last_complaint, log_file, open_log
from cli.parent.record import OURS, Alive, DaemonRecord, living_parent, read_record
from cli.programs import program
from common.errors import EXIT_ALREADY_RUNNING
from common.paths import MeshPaths, make_private_dir

LOOK, LEAVE = signal.SIGUSR1, signal.SIGUSR2
START_S = 15.0
STEADY_S = 1.0
"""A daemon that is wrongly configured ends within a second of taking its lock."""
STEP_S = 0.05
HURRY_AFTER_S = 0.3
"""Long enough for the first signal to have arrived through the parent."""


def start_parent(paths: MeshPaths, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a parent that outlives this terminal. One that is not needed ends by itself."""
    make_private_dir(paths.state_dir)
    log = open_log(paths.logs_dir, "parent")
    try:
        return subprocess.Popen(
            program("cli.parent"),
            env=dict(env),
            cwd=paths.state_dir,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)


def ensure_parent(paths: MeshPaths, env: Mapping[str, str]) -> bool:
    """Have a living parent; whether it had to be started. Raises CliError when it ends at once."""
    if living_parent(paths):
        return False
    process = start_parent(paths, env)
    ends_at = time.monotonic() + START_S
    while not living_parent(paths):
        code = process.poll()
        if code not in (None, EXIT_ALREADY_RUNNING):
            why = last_complaint(log_file(paths.logs_dir, "parent"))
            raise CliError(f"the parent ended at once: {why or f'exit code {code}'}")
        if time.monotonic() > ends_at:
            raise CliError(
                f"the parent did not start within {START_S:.0f} s. See: mesh logs parent"
            )
        time.sleep(STEP_S)
    return True


def tell(paths: MeshPaths, number: signal.Signals) -> bool:
    """Signal the living parent, if there is one."""
    record = living_parent(paths)
    if record is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(record.parent.pid, number)
        return True
    return False


def settled(
    paths: MeshPaths, names: Collection[str], *, asked_at: float, now: float
) -> dict[str, DaemonRecord] | None:
    """The records of daemons that were asked to run at `asked_at`, once each of them has run for
    a moment or failed since; else None."""
    record = living_parent(paths)
    if record is None:
        return None
    found = {name: record.daemons[name] for name in names if name in record.daemons}
    if len(found) < len(names):
        return None
    return found if all(_decided(r, asked_at, now) for r in found.values()) else None


def _decided(record: DaemonRecord, asked_at: float, now: float) -> bool:
    match record.state:
        case "running" | "elsewhere":
            return now - record.since > STEADY_S
        case "waiting" | "degraded":
            return record.retry_at is not None and record.since >= asked_at
        case _:
            return False


def stop_all(paths: MeshPaths, *, hurry: bool, waiting: Callable[[], None]) -> list[str]:
    """End the parent and what it or an earlier one started; the names of those that ran.

    `waiting` is called again and again for as long as it takes. `hurry` ends running work.
    """
    record = read_record(paths)
    if record is None:
        return []
    ran = {name: alive for name, daemon in record.daemons.items() if (alive := _ours(daemon))}
    if not tell(paths, signal.SIGTERM):
        _signal(ran.values(), signal.SIGTERM)
    _until_gone([record.parent, *ran.values()], ran.values() if hurry else (), waiting)
    return list(ran)


def stop_some(
    paths: MeshPaths, names: Collection[str], *, hurry: bool, waiting: Callable[[], None]
) -> list[str]:
    """End these daemons, which were wished to be stopped; the names of those that ran."""
    record = read_record(paths)
    if record is None:
        return []
    ran = {
        name: alive
        for name, daemon in record.daemons.items()
        if name in names and (alive := _ours(daemon))
    }
    if not tell(paths, LOOK):
        _signal(ran.values(), signal.SIGTERM)
    _until_gone(ran.values(), ran.values() if hurry else (), waiting)
    return list(ran)


def _until_gone(
    left: Iterable[Alive], hurried: Iterable[Alive], waiting: Callable[[], None]
) -> None:
    """Wait for all of them; the `hurried` ones get a second signal, if they need it."""
    left, hurried = list(left), list(hurried)
    hurry_at = time.monotonic() + HURRY_AFTER_S
    while any(alive.process() for alive in left):
        if hurried and time.monotonic() > hurry_at:
            _signal(hurried, signal.SIGTERM)
            hurried = []
        waiting()
        time.sleep(STEP_S)


def replace_parent(paths: MeshPaths, env: Mapping[str, str]) -> None:
    """Put a parent that was started from this terminal in the old one's place.

    On macOS a process may read Messages if the application at the head of its chain may: a
    daemon started from this terminal has this terminal's rights, and only a parent started from
    here can give it those. The daemons run on meanwhile.
    """
    record = living_parent(paths)
    if record is not None and tell(paths, LEAVE):
        ends_at = time.monotonic() + START_S
        while record.parent.process():
            if time.monotonic() > ends_at:
                raise CliError("the old parent does not leave. Run: mesh down, then mesh up")
            time.sleep(STEP_S)
    ensure_parent(paths, env)


def wish(paths: MeshPaths, names: Collection[str], *, run: bool) -> None:
    """Write down what shall run and what shall not."""
    (wishes.wish_running if run else wishes.wish_stopped)(paths, names)


def _ours(record: DaemonRecord) -> Alive | None:
    """The daemon's process, if a parent started it and it runs."""
    if record.state not in OURS or record.process is None:
        return None
    return record.process if record.process.process() else None


def _signal(processes: Iterable[Alive], number: signal.Signals) -> None:
    for alive in processes:
        process = alive.process()
        if process is not None:
            with suppress(psutil.Error):
                process.send_signal(number)
