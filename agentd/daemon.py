"""The daemon: its loops, each supervised by itself, and the order in which they stop."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from agentd.collect import Collector
from agentd.contact import Contact, Standing
from agentd.fitness import Fitness
from agentd.guardian import sweep_all
from agentd.journal import Entry, Journal, lost_result
from agentd.keepawake import KeepAwake
from agentd.runners.claude_transcript import at_least
from agentd.runners.protocol import NamesSessions, Runner
from agentd.slots import Slots
from agentd.spool import Spool
from agentd.stops import Reason, Stop
from agentd.survey import Survey
from common.client import HubError, HubUnreachableError
from common.proc import StopSignals
from common.supervise import Backoff, Loop, Supervisor

logger = logging.getLogger(__name__)

LAST_DELIVERY_S = 0.5
HURRIED_STOP_S = 20.0
"""Only a process that cannot be killed takes longer; its remains are the guardian's."""

GUARDIAN_EXIT_S = 2.0


class Daemon:
    """Everything of one node that runs."""

    def __init__(
        self,
        *,
        contact: Contact,
        fitness: Fitness,
        collector: Collector,
        survey: Survey,
        keep_awake: KeepAwake,
        slots: Slots,
        slot_count: int,
        spool: Spool,
        standing: Standing,
        drain_s: float,
    ) -> None:
        self._contact = contact
        self._fitness = fitness
        self._collector = collector
        self._survey = survey
        self._keep_awake = keep_awake
        self._slots = slots
        self._slot_count = slot_count
        self._spool = spool
        self._standing = standing
        self._drain_s = drain_s

    async def run(self, signals: StopSignals) -> None:
        """Work until the first signal, then drain; a second signal ends everything at once."""
        supervisor = Supervisor(backoff=lambda: Backoff(first_s=0.3, cap_s=8.0))
        supervised = asyncio.create_task(supervisor.run(self._loops()), name="loops")
        stopping = asyncio.create_task(signals.first.wait(), name="signal")
        try:
            await asyncio.wait({supervised, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await self._drain(signals)
            else:
                supervised.result()
        finally:
            stopping.cancel()
            supervised.cancel()
            await asyncio.gather(stopping, supervised, return_exceptions=True)

    def _loops(self) -> dict[str, Loop]:
        loops: dict[str, Loop] = {
            "heartbeat": self._contact.run,
            "contact": self._contact.watch,
            "claims": self._claims,
            "spool": self._spool.run,
            "programs": self._fitness.run,
            "collection": self._collector.run,
            "survey": self._survey.run,
            "keep awake": self._keep_awake.run,
        }
        for number in range(self._slot_count):
            loops[f"slot {number}"] = self._slots.run_slot
        return loops

    async def _claims(self) -> None:
        await self._slots.run_claims(self._contact.in_touch)

    async def _drain(self, signals: StopSignals) -> None:
        self._standing.drain()
        if self._slots.busy and self._drain_s > 0:
            logger.info("draining", extra={"at_most_s": self._drain_s})
            await _first_of(self._slots.idle(), signals.second.wait(), timeout_s=self._drain_s)
        if self._slots.busy:
            self._slots.stop_all(Stop(Reason.DRAINED, "agentd was stopped"), hurry=True)
            await _first_of(self._slots.idle(), timeout_s=HURRIED_STOP_S)
        await _first_of(self._spool.emptied(), timeout_s=LAST_DELIVERY_S)
        logger.info("stopped", extra={"undelivered": len(self._spool.fences())})


async def _first_of(*waits: Awaitable[object], timeout_s: float) -> None:
    """Wait until one of them is done, or for `timeout_s`."""
    tasks = {asyncio.ensure_future(wait) for wait in waits}
    await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def end_leftovers(
    mark: str, journal: Journal, spool: Spool, runner: Runner, environment: Mapping[str, str]
) -> None:
    """End what a killed predecessor left running, and report its attempts as lost, with what they
    used in the moments after it was killed too."""
    ended = await asyncio.to_thread(sweep_all, mark, journal)
    entries = journal.left_over()
    for entry in entries:
        spool.put(entry.fence, lost_result(_with_record(entry, runner, environment)))
        journal.remove(entry.fence)
    if ended or entries:
        logger.warning("leftovers ended", extra={"processes": ended, "attempts": len(entries)})
    with suppress(HubError, HubUnreachableError):
        await spool.deliver()


def _with_record(entry: Entry, runner: Runner, environment: Mapping[str, str]) -> Entry:
    if not isinstance(runner, NamesSessions) or None in (entry.session_id, entry.message_id):
        return entry
    recorded = runner.recorded_usage(entry.session_id or "", entry.message_id or "", environment)
    return msgspec.structs.replace(entry, usage=at_least(entry.usage, recorded))


@asynccontextmanager
async def guarded(mark: str, journal: Journal, env: Mapping[str, str]) -> AsyncIterator[None]:
    """Keep a guardian beside us for as long as the block runs."""
    process = await _start_guardian(mark, journal, env)
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(GUARDIAN_EXIT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _start_guardian(mark: str, journal: Journal, env: Mapping[str, str]) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agentd.guardian",
        mark,
        str(journal.folder),
        env={name: env[name] for name in ("PATH", "PYTHONPATH") if name in env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


def disk_refusal(folder: Path, min_free_mb: int) -> str | None:
    """Why the disk keeps this node from taking work. It names no figure that changes with every
    heartbeat: each change is an event of the node."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        why = error.strerror or str(error)
        return f"the work folder cannot be used ({why}): put {folder} back, or restart agentd"
    if free >= min_free_mb * 2**20:
        return None
    return f"less than {min_free_mb} MB free on {folder} (agent.min_free_mb)"
