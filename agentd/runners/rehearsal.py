"""The rehearsal runner: plays an attempt without any model, and says so in every answer.

For demonstrations and tests. Markers in the prompt: `[rehearse: ask]` asks to use a tool,
`[rehearse: question]` asks its owner something, `[rehearse: fail]` fails, `[rehearse: 30s]` takes
about that long.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from agentd.runners.protocol import (
    Answer,
    ApprovalRequested,
    Ended,
    Event,
    Job,
    RunnerFacts,
    SessionStarted,
    TextSaid,
    ToolEnded,
    ToolStarted,
    UsageSeen,
)
from common.wire.approvals import Decision
from common.wire.tasks import Outcome, Usage

T = TypeVar("T")

LABEL = "rehearsal: no model ran"
MODEL = "rehearsal"
MARKER = re.compile(r"\[rehearse: (ask|question|fail|(\d+(?:\.\d+)?)s)\]")
EXCERPT_CHARS = 80
TOOL_COMMAND = "touch rehearsal.txt"
CHOICES = ("Blue", "Red")
PIECE_S = 0.25


class RehearsalRunner:
    """Answers every task by itself in about `pace_s`; `new_id` makes session ids."""

    name = "rehearsal"

    def __init__(self, *, new_id: Callable[[], str], pace_s: float = 0.6) -> None:
        self._new_id = new_id
        self._pace_s = pace_s

    async def check(self) -> RunnerFacts:
        return RunnerFacts({"rehearsal": LABEL})

    def new_session_id(self) -> str:
        return self._new_id()

    def has_heard(
        self, session_id: str, message_id: str, environment: Mapping[str, str]
    ) -> bool | None:
        return None  # it keeps no record

    def recorded_usage(
        self, session_id: str, message_id: str, environment: Mapping[str, str]
    ) -> tuple[Usage, ...]:
        return ()

    async def start(self, job: Job) -> RehearsalRun:
        session_id = job.session_id or job.new_session_id or self._new_id()
        return RehearsalRun(job, session_id, self._pace_s)


class _Stopped(Exception):
    """The run was interrupted or killed."""


class RehearsalRun:
    """One played attempt; it has no process, so stopping it is immediate."""

    def __init__(self, job: Job, session_id: str, pace_s: float) -> None:
        self._job = job
        self._session_id = session_id
        self._pace_s = pace_s
        self._stopped = asyncio.Event()
        self._outcome = Outcome.INTERRUPTED
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    async def events(self) -> AsyncGenerator[Event, None]:
        yield SessionStarted(session_id=self._session_id, model=MODEL)
        yield TextSaid(f"({LABEL}) ")
        try:
            async for event in self._play():
                yield event
        except _Stopped:
            yield self._ended(self._outcome, "", "ended on request")

    async def answer(self, request_id: str, answer: Answer) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    async def interrupt(self) -> None:
        self._stopped.set()

    async def kill(self, *, grace_s: float) -> None:
        self._outcome = Outcome.KILLED
        self._stopped.set()

    async def _play(self) -> AsyncIterator[Event]:
        said = ""
        marker = MARKER.search(self._job.prompt)
        wanted = marker.group(1) if marker else ""
        if wanted in ("ask", "question") and self._job.resume is None:
            yield ToolStarted(tool_id="r1", tool="Bash", summary=TOOL_COMMAND)
            yield _question(wanted)
            answer = await self._or_stop(self._answer)
            yield ToolEnded(tool_id="r1", tool="Bash", text="played", is_error=not answer.allow)
            said = _heard(answer.allow, answer.text)
        elif (resume := self._job.resume) is not None:
            said = _heard(resume.decision is Decision.APPROVE, resume.answer or resume.note)
        length_s = float(marker.group(2)) if marker and marker.group(2) else self._pace_s
        text = f"{LABEL}. {said}I was asked: {_excerpt(self._job)}"
        async for event in self._speak(text, length_s):
            yield event
        yield UsageSeen((Usage(model=MODEL, cost_usd=0.0),))
        if wanted == "fail":
            yield self._ended(Outcome.TASK_ERROR, "", f"{LABEL}. It was told to fail.")
        else:
            yield self._ended(Outcome.OK, text, None)

    async def _speak(self, text: str, length_s: float) -> AsyncIterator[Event]:
        words = text.split(" ")
        pieces = max(2, min(len(words), int(length_s / PIECE_S)))
        size = -(-len(words) // pieces)
        for at in range(0, len(words), size):
            await self._or_stop(asyncio.sleep(length_s / pieces))
            yield TextSaid(" ".join(words[at : at + size]) + " ")

    async def _or_stop(self, awaited: Awaitable[T]) -> T:
        """Await something unless the run is stopped first."""
        wanted = asyncio.ensure_future(awaited)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({wanted, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                raise _Stopped
            return wanted.result()
        finally:
            wanted.cancel()
            stopped.cancel()

    def _ended(self, outcome: Outcome, text: str, error: str | None) -> Ended:
        return Ended(
            outcome=outcome,
            text=text,
            error=error,
            session_id=self._session_id,
            usage=(Usage(model=MODEL, cost_usd=0.0),),
            cost_usd=0.0,
        )


def _question(wanted: str) -> ApprovalRequested:
    if wanted == "question":
        return ApprovalRequested(
            request_id="question-1", kind="question", summary="Which colour?", choices=CHOICES
        )
    return ApprovalRequested(
        request_id="tool-1",
        kind="tool",
        tool="Bash",
        summary=f"Bash: {TOOL_COMMAND}",
        detail=f'{{\n  "command": "{TOOL_COMMAND}"\n}}',
    )


def _heard(allowed: bool, text: str | None) -> str:
    answer = "You said yes" if allowed else "You said no"
    return f"{answer}: {text}. " if text else f"{answer}. "


def _excerpt(job: Job) -> str:
    text = " ".join(MARKER.sub("", job.prompt).split())
    return text if len(text) <= EXCERPT_CHARS else f"{text[: EXCERPT_CHARS - 1]}…"
