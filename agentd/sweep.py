"""Finding and ending what an attempt left behind.

A process belongs to an attempt when its environment carries the attempt's mark, or when it descends
from such a process. Where no mark can be read (Apple's own programs hide their environment, and
`env -i` sheds it) an orphan that works in the attempt's folder is taken for the attempt's too.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from agentd.environment import AGENT_MARK, ATTEMPT_MARK

logger = logging.getLogger(__name__)

KILL_WAIT_S = 3.0
MAX_ROUNDS = 5
LOOK_EVERY_S = 0.01
INIT_PID = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells an attempt's processes from all others; no fence means any of this agent's."""

    agent: str
    fence: int | None = None
    folder: Path | None = None

    def matches(self, process: psutil.Process) -> bool:
        environment = _environment(process)
        if AGENT_MARK in environment:
            return environment[AGENT_MARK] == self.agent and (
                self.fence is None or environment.get(ATTEMPT_MARK) == str(self.fence)
            )
        return self.folder is not None and _is_stray_in(self.folder, process)


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _is_stray_in(folder: Path, process: psutil.Process) -> bool:
    """An orphan without a terminal: never somebody's shell, nor what an open editor started."""
    try:
        return (
            process.ppid() == INIT_PID
            and process.terminal() is None
            and Path(process.cwd()).is_relative_to(folder)
        )
    except (psutil.Error, OSError, ValueError):
        return False


def find_marked(mark: Mark, spare: Iterable[int] = ()) -> list[psutil.Process]:
    """All living processes of the mark and their descendants, without `spare` and ourselves."""
    own_user = os.getuid()
    spared = {os.getpid(), *spare}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid in spared or process.pid in found:
            continue
        if _of_user(process, own_user) and mark.matches(process):
            found[process.pid] = process
            for child in _descendants(process):
                if child.pid not in spared:
                    found.setdefault(child.pid, child)
    return [process for process in found.values() if _alive(process)]


def signal_marked(mark: Mark, number: signal.Signals) -> None:
    """Send it to every process of the mark."""
    for process in find_marked(mark):
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


def ask_leader(mark: Mark, pid: int) -> None:
    """TERM to one process, if it still is the mark's."""
    try:
        process = psutil.Process(pid)
        if mark.matches(process):
            process.terminate()
    except psutil.Error:
        return


def ask_to_end(mark: Mark, wait_s: float) -> None:
    """TERM to what began each attempt, and a moment to write down how far it came.

    Only the uppermost processes are asked: a shell that dies before its model CLI would look to it
    like a step that failed. Blocks as `sweep` does, which must follow.
    """
    strays = find_marked(mark)
    ours = {stray.pid for stray in strays}
    for stray in strays:
        try:
            if stray.ppid() not in ours:
                stray.terminate()
        except psutil.Error:
            continue
    _wait_for_end(strays, wait_s)


def sweep(
    mark: Mark,
    spare: Iterable[int] = (),
    *,
    wait_s: float = KILL_WAIT_S,
) -> int:
    """KILL everything of the mark until nothing of it is found; returns how many there were.

    Blocks for some milliseconds to seconds: call it in a thread. KILL at once is right because
    the leader had its chance to end well before anything is swept (`ask_to_end`).
    """
    spared = tuple(spare)
    ended: set[int] = set()
    for _ in range(MAX_ROUNDS):
        strays = find_marked(mark, spared)
        if not strays:
            break
        for stray in strays:
            ended.add(stray.pid)
            try:
                stray.kill()
            except psutil.Error:
                continue
        _wait_for_end(strays, wait_s)
    return len(ended)


def _wait_for_end(processes: list[psutil.Process], wait_s: float) -> None:
    """Not psutil.wait_procs: it would reap a child whose exit code asyncio waits for."""
    until = time.monotonic() + wait_s
    while any(map(_alive, processes)) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)


def _of_user(process: psutil.Process, user: int) -> bool:
    try:
        return bool(process.uids().real == user)
    except (psutil.Error, OSError):
        return False


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _descendants(process: psutil.Process) -> Iterator[psutil.Process]:
    try:
        yield from process.children(recursive=True)
    except psutil.Error:
        return
