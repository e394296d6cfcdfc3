"""One attempt from lease to result: start it at the hub, run it, stop it if told, account for it.

The fence decides: nothing is spawned before the hub accepted the start, and whatever the hub calls
stale is ended without a result. Every other attempt ends with exactly one result in the spool.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import aclosing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from agentd.attachments import fetch, prompt_with
from agentd.errors import (
    AgentError,
    ProjectError,
    SpecialistError,
    TaskError,
    UnfitError,
    WorkspaceError,
)
from agentd.jobs import make_job
from agentd.journal import Entry
from agentd.means import Means
from agentd.output import OutputFeed
from agentd.questions import QuestionDesk
from agentd.runners.protocol import (
    ApprovalRequested,
    ApprovalWithdrawn,
    Ended,
    Event,
    HasProcess,
    Job,
    NamesSessions,
    Noticed,
    Run,
    SessionStarted,
    UsageSeen,
)
from agentd.stops import OUTCOMES, Reason, Stop, StopOrder
from agentd.sweep import Mark, signal_marked, sweep
from agentd.workspace import Place
from common.client import HubError, HubUnreachableError
from common.clock import to_datetime
from common.supervise import Backoff
from common.wire.nodes import AnswerOrder, Lease, PostResult, StartAttempt
from common.wire.tasks import Cap, Outcome
from common.wire.usage import Usage

logger = logging.getLogger(__name__)

START_WITHIN_S = 20.0
"""Below the 30 s after which the hub takes an unstarted lease back."""

ERROR_CHARS = 8000
FAULT = "a fault inside agentd; see its log"
LONGEST_LIMIT_S = 45 * 86_400.0
"""Providers' limits reset within a month."""

LAST_OUTPUT_S = 2.0


class Attempt:
    """The life of one lease on this node; `run` it once, `stop` it any time."""

    def __init__(self, lease: Lease, means: Means) -> None:
        self.lease = lease
        self.fence = lease.fence
        self._means = means
        self._order = StopOrder()
        self._feed = OutputFeed(lease.fence, means.hub, lambda: to_datetime(means.clock.now()))
        self._desk: QuestionDesk | None = None
        self._entry: Entry | None = None
        self._spawned = False
        self._place: Place | None = None
        self._session_id = self._planned_session()
        self._last_output_at = 0.0

    def _planned_session(self) -> str | None:
        """The session of this attempt, known before it begins wherever the runner allows."""
        if self.lease.task.session_id is not None:
            return self.lease.task.session_id
        runner = self._means.runner
        return runner.new_session_id() if isinstance(runner, NamesSessions) else None

    @property
    def place(self) -> Path | None:
        """The folder it works in, once it has one."""
        return self._entry.place if self._entry is not None else None

    @property
    def usage(self) -> list[Usage]:
        """What it used so far."""
        return self._entry.usage if self._entry is not None else []

    def stop(self, stop: Stop, *, hurry: bool = False) -> None:
        """Order it to stop; the first reason counts, a later call may add haste."""
        self._order.give(stop, hurry=hurry)

    def freeze(self) -> None:
        """Let all of it stand still, at once."""
        signal_marked(self._mark(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it work again, unless it is to end."""
        if self._order.stop is None:
            self._last_output_at = self._means.clock.monotonic()
            signal_marked(self._mark(), signal.SIGCONT)

    async def take_answer(self, order: AnswerOrder) -> None:
        if self._desk is not None:
            await self._desk.take_order(order)

    async def run(self) -> None:
        """Run to the end; the result is in the spool when this returns."""
        if not await self._is_fit() or not await self._start():
            return
        logger.info("attempt started", extra=self._names())
        try:
            result = await self._execute()
        except AgentError as error:
            if isinstance(error, UnfitError):
                self._means.fitness.note(error)
            result = self._result(self._known(_outcome_of(error), error.message))
        except Exception:
            # Supervises the attempt: whatever is wrong here, it ends, says what it used, and is
            # nobody else's fault.
            logger.exception("attempt failed inside agentd", extra=self._names())
            result = self._result(self._known(Outcome.INTERNAL, FAULT))
        finally:
            await self._sweep()
        if self._is_stale():
            logger.info("attempt dropped, its fence is stale", extra=self._names())
        else:
            kept = self._means.spool.put(self.fence, result)
            logger.info("attempt ended", extra=self._names() | {"outcome": result.outcome})
            if not kept:
                return  # if we are killed now, a successor at least reports it lost
        self._means.journal.remove(self.fence)

    async def _is_fit(self) -> bool:
        """Whether this node has the programs; else the lease goes back as if it never was."""
        try:
            await self._means.fitness.check(self.lease)
        except UnfitError as error:
            logger.info("given back", extra=self._names() | {"because": error.message})
            # Unheard, the hub takes an unstarted lease back on its own.
            with suppress(HubError, HubUnreachableError):
                await self._means.hub.release(self.fence)
            return False
        return True

    async def _start(self) -> bool:
        """Whether the hub accepted the start, and so whether anything may be spawned."""
        starting = asyncio.create_task(self._ask_to_start(), name=f"start of {self.fence}")
        stopping = asyncio.create_task(self._order.given.wait(), name=f"stop of {self.fence}")
        try:
            await asyncio.wait(
                {starting, stopping},
                timeout=START_WITHIN_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if starting.done():
                return starting.result()
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
        # The hub may have noted a start whose answer was lost: say that nothing runs.
        error = "stopped before the hub had answered the start"
        result = PostResult(outcome=Outcome.INTERRUPTED, error=error, cost_usd=0.0)
        self._means.spool.put(self.fence, result)
        return False

    async def _ask_to_start(self) -> bool:
        backoff = Backoff(first_s=0.2, cap_s=2.0)
        start = StartAttempt(runner=self._means.runner.name, session_id=self._session_id)
        while True:
            try:
                await self._means.hub.start(self.fence, start)
                return True
            except HubUnreachableError:
                await asyncio.sleep(backoff.next_s())
            except HubError as error:
                logger.info("start refused", extra=self._names() | {"code": error.hub_code})
                return False

    async def _execute(self) -> PostResult:
        feeding = asyncio.create_task(self._feed.run(), name=f"output of {self.fence}")
        try:
            return await self._prepare_and_run()
        finally:
            await self._end_feed(feeding)

    async def _prepare_and_run(self) -> PostResult:
        prepared = await self._prepare_unless_stopped()
        stop = self._order.stop
        if prepared is None or stop is not None:
            return PostResult(
                outcome=OUTCOMES[stop.reason] if stop else Outcome.INTERRUPTED,
                error=(stop.detail if stop else None) or "stopped",
                session_id=self._session_id,
                cost_usd=0.0,
            )
        place, prompt = prepared
        job = make_job(self.lease, self._means, prompt, place, self._session_id)
        ended = await self._run(job)
        if ended.session_gone and self._order.stop is None:
            logger.info("session gone, a new one begins", extra=self._names())
            job = make_job(
                self.lease, self._means, prompt, place, self._session_id, session_gone=True
            )
            ended = await self._run(job)
        return self._result(ended)

    async def _prepare_unless_stopped(self) -> tuple[Place, str] | None:
        """A stop does not wait for a long checkout or a setup command; None when one came."""
        preparing = asyncio.create_task(self._prepare(), name=f"folder of {self.fence}")
        stopping = asyncio.create_task(self._order.given.wait(), name=f"stop of {self.fence}")
        try:
            await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return preparing.result() if preparing.done() else None
        finally:
            preparing.cancel()
            stopping.cancel()
            await asyncio.gather(preparing, stopping, return_exceptions=True)

    async def _prepare(self) -> tuple[Place, str]:
        """The folder, and the prompt with the files that came with it."""
        place = await self._take_place()
        task = self.lease.task
        paths = await fetch(self._means.hub, task.files, place.folder)
        return place, prompt_with(task.prompt, paths, len(task.files) - len(paths))

    async def _end_feed(self, feeding: asyncio.Task[None]) -> None:
        self._feed.close()
        hurried = self._order.hurried.is_set()
        await asyncio.wait({feeding}, timeout=0.1 if hurried else LAST_OUTPUT_S)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)

    async def _take_place(self) -> Place:
        """The folder, and on disk all that a successor needs to come back to it."""
        self._place = place = await self._means.workspace.prepare(
            self.lease, self._session_id, notice=lambda text: self._feed.add(Noticed(text))
        )
        self._entry = Entry(
            fence=self.fence,
            task_id=self.lease.task.id,
            runner=self._means.runner.name,
            folder=str(place.folder),
            session_id=self._session_id,
        )
        try:
            self._means.journal.open(self._entry)
        except OSError as error:
            raise WorkspaceError(
                f"the attempt cannot be noted on the disk ({error.strerror}). Is it full?"
            ) from error
        return place

    async def _run(self, job: Job) -> Ended:
        self._note(message_id=job.message_id)
        run = await self._means.runner.start(job)
        if isinstance(run, HasProcess):
            self._note(pid=run.pid)
        self._spawned = True
        self._desk = QuestionDesk(
            self.fence,
            self._means.hub,
            self._means.clock,
            park_after_s=self._means.limits.park_after_s,
            reply=run.answer,
            stop=self._order.give,
        )
        watching = asyncio.create_task(self._watch(run), name=f"watch over {self.fence}")
        following = asyncio.create_task(self._follow(run), name=f"run of {self.fence}")
        try:
            await asyncio.wait({watching, following}, return_when=asyncio.FIRST_COMPLETED)
            # The watch ends only once the run was killed: what it has to say then comes at once.
            await asyncio.wait({following}, timeout=self._means.patience.last_word_s)
            if following.done():
                return following.result()
            logger.error("a stopped run did not say how it ended", extra=self._names())
            return self._known(Outcome.INTERNAL, "it was stopped and did not say how it ended")
        finally:
            for task in (watching, following):
                task.cancel()
            await asyncio.wait({watching, following}, timeout=self._means.patience.last_word_s)
            await self._desk.close()

    def _known(self, outcome: Outcome, error: str) -> Ended:
        """The end of an attempt that has no word of its own, with what is known of it."""
        return Ended(
            outcome=outcome,
            error=error,
            session_id=self._session_id,
            usage=tuple(self.usage),
            cost_usd=None if self._spawned else 0.0,
            partial=self._spawned,
        )

    async def _follow(self, run: Run) -> Ended:
        self._last_output_at = self._means.clock.monotonic()
        async with aclosing(run.events()) as events:
            async for event in events:
                self._last_output_at = self._means.clock.monotonic()
                self._feed.add(event)
                if isinstance(event, Ended):
                    return event
                self._take(event)
        return self._known(
            Outcome.INTERNAL, f"the {self._means.runner.name} runner ended without saying how"
        )

    def _take(self, event: Event) -> None:
        match event:
            case SessionStarted(session_id=session_id):
                self._note_session(session_id)
            case UsageSeen(usage):
                self._note(usage=list(usage))
            case ApprovalRequested() if self._desk is not None:
                self._desk.ask(event)
            case ApprovalWithdrawn(request_id) if self._desk is not None:
                self._desk.withdraw(request_id)

    async def _watch(self, run: Run) -> None:
        """Wait for a reason to stop, then stop the run: ask, and after a grace force. What fails
        on the way must not keep it from being stopped."""
        patience, order = self._means.patience, self._order
        try:
            await self._reason_to_stop()
            logger.info("attempt stopping", extra=self._names() | {"reason": str(order.stop)})
            async with asyncio.timeout(patience.hurried_interrupt_s):
                await run.interrupt()
        except Exception:
            logger.exception("a run could not be asked to end", extra=self._names())
        await _sleep_unless(order.hurried, patience.interrupt_s, patience.hurried_interrupt_s)
        hurried = order.hurried.is_set()
        try:
            await run.kill(grace_s=patience.hurried_term_s if hurried else patience.term_s)
        except Exception:
            logger.exception("a run could not be killed", extra=self._names())
        await self._sweep()

    async def _reason_to_stop(self) -> None:
        clock, limits = self._means.clock, self._means.limits
        started_at = tick_at = clock.monotonic()
        timeout_s = self.lease.task.timeout_s or limits.timeout_s
        waited_s = 0.0
        while not self._order.given.is_set():
            await _sleep_unless(self._order.given, 1.0, 0.0)
            now = clock.monotonic()
            if self._feed.fenced.is_set():
                self._order.give(Stop(Reason.FENCED))
            if self._desk is not None and self._desk.waiting:
                # A person's time is nobody's time-out.
                waited_s += now - tick_at
                self._last_output_at = now
            tick_at = now
            if now - started_at - waited_s > timeout_s:
                self._order.give(Stop(Reason.TIMED_OUT, f"ended after {timeout_s:.0f} s"))
            elif now - self._last_output_at > limits.silence_s:
                detail = f"ended after {limits.silence_s:.0f} s without any output"
                self._order.give(Stop(Reason.SILENT, detail))

    def _note_session(self, session_id: str) -> None:
        """The runner has begun on what it was told, in this session."""
        self._note(session_id=session_id)
        if session_id and self._place is not None:
            self._session_id = session_id
            try:
                self._means.workspace.remember(session_id, self._place, self.lease.task.id)
            except OSError:
                logger.exception("session not noted", extra=self._names())
        if self._desk is not None:
            self._desk.may_park = bool(session_id)

    def _result(self, ended: Ended) -> PostResult:
        outcome, error, stop = ended.outcome, ended.error, self._order.stop
        final, capped = ended.final, ended.capped
        if ended.unfit:
            self._means.fitness.note(UnfitError(error or "its program cannot be run"))
        if stop is None and outcome is Outcome.KILLED:
            outcome = Outcome.INTERNAL  # nobody ordered it: the watch over it failed
        # A run that had ended by itself before the order reached it tells its own truth.
        if stop is not None and outcome not in (Outcome.OK, Outcome.PROVIDER_LIMIT):
            outcome, error = OUTCOMES[stop.reason], stop.detail or error
            # The task's own time is its owner's word; this node's is only a limit of ours.
            timed_out = stop.reason is Reason.TIMED_OUT
            final = timed_out and self.lease.task.timeout_s is not None
            capped = Cap.TIME if timed_out and not final else None
        return PostResult(
            outcome=outcome,
            text=ended.text,
            usage=list(ended.usage),
            cost_usd=ended.cost_usd,
            session_id=ended.session_id or self._session_id,
            error=error[:ERROR_CHARS] if error else None,
            resets_at=self._soon(ended.resets_at),
            scope=ended.scope,
            limited_model=ended.limited_model,
            partial=ended.partial,
            final=final,
            capped=capped,
            notices=list(ended.notices),
            runner=self._means.runner.name,
            approval_code=stop.code if stop and outcome is Outcome.PARKED else None,
        )

    def _soon(self, resets_at: datetime | None) -> datetime | None:
        """A reset that has passed, or is further off than any limit lasts, was not meant so."""
        if resets_at is None:
            return None
        ahead_s = resets_at.timestamp() - self._means.clock.now()
        return resets_at if 0 < ahead_s <= LONGEST_LIMIT_S else None

    def _is_stale(self) -> bool:
        stop = self._order.stop
        return stop is not None and stop.reason is Reason.FENCED

    def _note(self, **changes: Any) -> None:
        """Keep the journal up to date with what a successor would have to report."""
        before = self._entry
        if before is None:
            return  # it has no folder yet, so nothing runs
        self._entry = msgspec.structs.replace(before, **changes)
        if self._entry == before:
            return
        try:
            self._means.journal.write(self._entry)
        except OSError:
            # A full disk must not end the work: it only costs a successor some knowledge.
            logger.exception("journal not written", extra=self._names())

    def _mark(self) -> Mark:
        return Mark(self._means.agent_mark, self.fence, self.place)

    async def _sweep(self) -> None:
        try:
            strays = await asyncio.to_thread(sweep, self._mark())
        except Exception:
            # The result matters more than knowing that nothing was left.
            logger.exception("strays not looked for", extra=self._names())
            return
        if strays:
            logger.warning("strays ended", extra=self._names() | {"processes": strays})

    def _names(self) -> dict[str, object]:
        return {"task": self.lease.task.id, "fence": self.fence}


def _outcome_of(error: AgentError) -> Outcome:
    """What the owner has to mend is no fault of the node."""
    if isinstance(error, SpecialistError | ProjectError | TaskError):
        return Outcome.PERMANENT
    return Outcome.INTERRUPTED if isinstance(error, UnfitError) else Outcome.NODE_FAULT


async def _sleep_unless(event: asyncio.Event, at_most_s: float, after_event_s: float) -> None:
    """Sleep `at_most_s`, but only `after_event_s` more once `event` is set."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting}, timeout=at_most_s)
        if waiting.done() and after_event_s:
            await asyncio.sleep(after_event_s)
    finally:
        waiting.cancel()
