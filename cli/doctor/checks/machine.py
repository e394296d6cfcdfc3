"""Checks of this machine: interpreter, files, disk, daemons, log-in, power."""

from __future__ import annotations

import shlex

from cli.doctor.facts import Daemons, Disk, Files, Here, Interpreter, Login, Power
from cli.doctor.finding import Verdict, fail, ok, skip, warn

MIN_PYTHON = (3, 11)
SAFE_SQLITE = (3, 51, 3)
"""Up to 3.51.2 a reset of the write-ahead log at the wrong moment can damage a database."""

NETWORK = ("nfs", "smbfs", "afpfs", "cifs", "webdav", "fuse.sshfs", "9p", "vboxsf")
LOW_DISK_MB = 1024
FULL_DISK_MB = 200
LARGE_LOGS_MB = 200


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def python(facts: Interpreter) -> Verdict:
    found = f"Python {dotted(facts.python)} at {facts.executable}"
    if facts.python[:2] < MIN_PYTHON:
        return fail(
            f"{found}; 3.11 or newer is needed", "make clean && make .venv/.ready PYTHON=python3.13"
        )
    return ok(found)


def sqlite(facts: Interpreter) -> Verdict:
    found = f"SQLite {dotted(facts.sqlite)}"
    if facts.sqlite < SAFE_SQLITE:
        return warn(
            f"{found} has a rare fault that can damage the hub's database; "
            f"{dotted(SAFE_SQLITE)} mends it. Backups are made meanwhile",
            "brew install python, or another with a newer SQLite; make clean && make .venv/.ready",
        )
    return ok(found)


def site(facts: Interpreter) -> Verdict:
    if facts.executable_pth:
        return warn(
            f"files that run code whenever Python starts: {', '.join(facts.executable_pth)}",
            "look at them; if you did not put them there, make clean and set up again",
        )
    return ok("no unknown file runs code whenever Python starts")


def configuration(here: Here) -> Verdict:
    if here.config_error is not None:
        return fail(
            here.config_error, f"${{EDITOR:-nano}} {shlex.quote(str(here.paths.config_file))}"
        )
    if not here.paths.config_file.exists():
        return warn(f"there is no {here.paths.config_file}: the defaults apply", "mesh init")
    return ok(str(here.paths.config_file))


def modes(facts: Files) -> Verdict:
    if not facts.wrong:
        return ok(f"{facts.looked_at} files and folders, private")
    first = facts.wrong[0]
    more = f", and {len(facts.wrong) - 1} more" if len(facts.wrong) > 1 else ""
    if all(wrong.fixable for wrong in facts.wrong):
        return fail(
            f"{first.path} has mode {first.mode:03o}, not {first.wanted:03o}{more}",
            "mesh doctor --fix",
        )
    path = next(wrong.path for wrong in facts.wrong if not wrong.fixable)
    return fail(
        f"{path} is a link or belongs to another user{more}",
        f"mv {shlex.quote(str(path))} {shlex.quote(str(path))}.away",
    )


def disk(facts: Disk) -> Verdict:
    found = f"{facts.free_mb / 1024:.1f} GB free on {facts.folder}"
    if facts.free_mb < FULL_DISK_MB:
        return fail(f"only {facts.free_mb} MB free on {facts.folder}", "free some space")
    if facts.free_mb < LOW_DISK_MB:
        return warn(f"only {facts.free_mb} MB free on {facts.folder}", "free some space")
    return ok(found)


def volume(facts: Disk) -> Verdict:
    if facts.filesystem in NETWORK:
        return fail(
            f"{facts.folder} is on a network file system ({facts.filesystem}), "
            "where SQLite's locks do not hold",
            "move it to a local disk: XDG_STATE_HOME or MESH_HOME",
        )
    if "Mobile Documents" in str(facts.folder):
        return fail(
            f"{facts.folder} is in iCloud Drive, which moves files away while they are used",
            "move it to a local folder: XDG_STATE_HOME or MESH_HOME",
        )
    return ok(f"{facts.folder} is on a local disk")


def logs(facts: Disk) -> Verdict:
    if facts.log_mb > LARGE_LOGS_MB:
        return warn(
            f"{facts.log_mb} MB of logs; the parent turns them over at 10 MB, if it runs", "mesh up"
        )
    return ok(f"{facts.log_mb} MB of logs")


def locks(facts: Daemons) -> Verdict:
    stale = [lock.path.name for lock in facts.locks if lock.pid and not lock.alive]
    if stale:
        return warn(
            f"left behind by programs that ended without a word: {', '.join(stale)}",
            "mesh doctor --fix",
        )
    return ok(f"{len(facts.locks)} lock files, none left behind")


def daemons(facts: Daemons) -> Verdict:
    if not facts.wanted:
        return warn("this machine is configured to run nothing", "mesh init")
    down = [name for name, lock in facts.wanted.items() if lock is None or not lock.alive]
    by_hand = [name for name in down if name in facts.stopped_by_hand]
    if by_hand == down and down:
        return warn(f"stopped by hand: {', '.join(down)}", f"mesh up {' '.join(down)}")
    if down:
        return fail(f"not running: {', '.join(down)}", f"mesh up; mesh logs {down[0]}")
    return ok(f"running: {', '.join(facts.wanted)}")


def orphans(facts: Daemons) -> Verdict:
    if facts.orphans:
        pids = " ".join(str(pid) for pid in facts.orphans)
        return warn(
            f"{len(facts.orphans)} processes of tasks run on though no agent does",
            f"mesh up agentd, which ends them, or kill {pids}",
        )
    return ok("no process of a task was left behind")


def login(facts: Login) -> Verdict:
    if facts.broken:
        return fail(
            f"the marks of the mesh block in {facts.file} are damaged",
            f"${{EDITOR:-nano}} {shlex.quote(str(facts.file))}, then mesh install zprofile",
        )
    if not facts.blocks:
        return warn(f"{facts.file} does not start the mesh", "mesh install zprofile")
    if not facts.current:
        return warn(
            f"the mesh block in {facts.file} is for another place or version",
            "mesh install zprofile",
        )
    return ok(f"{facts.file} starts the mesh")


def power(facts: Power) -> Verdict:
    if facts.sleep_min is None:
        return skip("not a Mac")
    if facts.sleep_min:
        return warn(
            f"this Mac sleeps after {facts.sleep_min} idle minutes; while it sleeps no text is "
            "heard (agent.keep_awake only covers running tasks)",
            "sudo pmset -c sleep 0",
        )
    return ok("this Mac does not sleep by itself")
