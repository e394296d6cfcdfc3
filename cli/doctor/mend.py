"""What `--fix` mends by itself: permissions of our own files, and locks left behind."""

from __future__ import annotations

import fcntl
import os

from cli.doctor.facts import Here
from cli.doctor.probes.daemons import daemons
from cli.doctor.probes.machine import files


def mend(here: Here) -> list[str]:
    """What was done, one sentence each."""
    return [*_modes(here), *_locks(here)]


def _modes(here: Here) -> list[str]:
    done = []
    for wrong in files(here).wrong:
        if wrong.fixable:
            wrong.path.chmod(wrong.wanted)
            done.append(f"chmod {wrong.wanted:03o} {wrong.path}")
    return done


def _locks(here: Here) -> list[str]:
    """Take the pid out of locks that nobody holds; the file stays.

    To remove it would let two programs hold the lock of the same name, one on each file.
    """
    done = []
    for lock in daemons(here).locks:
        if not lock.pid or lock.alive:
            continue
        descriptor = os.open(lock.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            done.append(f"cleared {lock.path}")
        except BlockingIOError:
            pass  # somebody started just now: then it is not left behind
        finally:
            os.close(descriptor)
    return done
