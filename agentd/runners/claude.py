"""Claude Code over its stdio protocol: stream-json both ways, questions answered in flight."""

from __future__ import annotations

import asyncio
import json
import logging
import platform
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentd.child import Child
from agentd.errors import RunnerUnavailableError
from agentd.lines import json_object
from agentd.runners.claude_launch import (
    QUIET,
    Bounds,
    ClaudeSettings,
    command_line,
    counts_owner,
    find_claude,
    read_version,
)
from agentd.runners.claude_outcome import classify
from agentd.runners.claude_questions import PendingRequest, granted_by, opening_prompt
from agentd.runners.claude_sandbox import owner_ignores, with_short_temporary, without_stubs
from agentd.runners.claude_stream import Fold
from agentd.runners.claude_transcript import recorded_usage, transcript_holds
from agentd.runners.exits import Exit
from agentd.runners.foreign import Part
from agentd.runners.programs import Signature, beside
from agentd.runners.protocol import (
    Answer,
    ApprovalWithdrawn,
    Ended,
    Event,
    Job,
    RunnerFacts,
)
from agentd.runners.reader import Reader
from common.claude_settings import read_owner_settings, settings_file
from common.sandbox import Ability, probe_sandbox
from common.wire.tasks import Outcome
from common.wire.usage import Usage

logger = logging.getLogger(__name__)

QUEUE_EVENTS = 2000
TERM_GRACE_S = 5.0
EXIT_GRACE_S = 15.0
"""How long a finished session may take to leave after its stdin was closed."""

FAULT = "a fault in agentd while it followed claude; see its log"

SETTLE_S = 10.0
"""A result without a word about idleness: so long in silence and the turn counts as over."""


class ClaudeRunner:
    """Starts `claude --print` for each attempt; `new_id` makes session ids (UUIDs). In `memory` it
    keeps what a run needs beside its own folder."""

    name = "claude"

    def __init__(
        self,
        settings: ClaudeSettings,
        *,
        environment: Mapping[str, str],
        new_id: Callable[[], str],
        memory: Path,
        probe: Callable[[Mapping[str, str]], Ability] = probe_sandbox,
    ) -> None:
        self._settings = settings
        self._environment = dict(environment)
        self._new_id = new_id
        self._memory = memory
        self._probe = probe
        self._known: Signature | None = None
        self._ability: Ability | None = None

    async def check(self) -> RunnerFacts:
        program = find_claude(self._settings.program, self._environment)
        version = await read_version(program, QUIET | beside(program, self._environment))
        self._known = Signature.of(program)
        if self._settings.sandbox != "off":
            self._ability = await asyncio.to_thread(self._probe, self._environment)
        facts = {"claude": version, "claude_path": program, "sandbox": self._sandbox_fact()}
        return RunnerFacts(
            facts | {"claude_settings": self._settings_fact()}, refusal=self._refusal()
        )

    async def find(self) -> str:
        """Where the CLI is now. Another file than the one that was checked is checked first."""
        program = find_claude(self._settings.program, self._environment)
        if self._known is None or self._known != Signature.of(program):
            if self._known is not None:
                logger.info("claude moved or changed", extra={"path": program})
            await self.check()
        return program

    @property
    def _sandboxed(self) -> bool:
        return self._ability is not None and self._ability.usable

    def _sandbox_fact(self) -> str:
        if self._ability is None:
            return "off, as configured"
        return "on" if self._ability.usable else f"not possible: {self._ability.lack}"

    def _refusal(self) -> str | None:
        if self._settings.sandbox != "on" or self._ability is None or self._ability.usable:
            return None
        return f'agent.sandbox is "on", but {self._ability.lack}'

    def _settings_fact(self) -> str:
        """What became of the owner's own Claude settings."""
        if self._settings.setting_sources == "none":
            return "none, as configured"
        owner = read_owner_settings(self._environment, sandboxed=self._sandboxed)
        if counts_owner(self._settings, owner):
            return "yours"
        return f"not used: {settings_file(self._environment)} has {owner.too_wide[0]}"

    def new_session_id(self) -> str:
        return self._new_id()

    def has_heard(
        self, session_id: str, message_id: str, environment: Mapping[str, str]
    ) -> bool | None:
        return transcript_holds(session_id, message_id, environment)

    def recorded_usage(
        self, session_id: str, message_id: str, environment: Mapping[str, str]
    ) -> tuple[Usage, ...]:
        return recorded_usage(session_id, message_id, environment)

    async def start(self, job: Job) -> ClaudeRun:
        program = await self.find()
        if (refusal := self._refusal()) is not None:
            raise RunnerUnavailableError(refusal)
        session_id = job.session_id or job.new_session_id or self._new_id()
        owner = read_owner_settings(job.environment, sandboxed=self._sandboxed)
        argv = command_line(
            program,
            self._settings,
            job,
            new_session_id=session_id,
            bounds=Bounds(sandboxed=self._sandboxed, owner=owner),
        )
        environment = beside(program, await self._environment_of(job))
        child = await Child.spawn(argv, folder=job.folder, environment=QUIET | environment)
        run = ClaudeRun(child, job)
        await run.open()
        return run

    async def _environment_of(self, job: Job) -> dict[str, str]:
        if not self._sandboxed or platform.system() != "Linux":
            return dict(job.environment)
        ignores = await owner_ignores(job.environment, job.folder)
        environment = with_short_temporary(job.environment)
        return without_stubs(environment, job.folder, self._memory, ignores)


class ClaudeRun:
    """One session of the CLI, from its first line to its exit."""

    def __init__(self, child: Child, job: Job) -> None:
        self._child = child
        self._job = job
        self._fold = Fold(session_id=None)
        self._events: asyncio.Queue[Event] = asyncio.Queue(QUEUE_EVENTS)
        self._pending: dict[str, PendingRequest] = {}
        self._grant = job.resume
        self._interrupted = False
        self._killed = False
        self._requests = 0
        self._asked = 0
        self._control: deque[dict[str, Any]] = deque()
        self._reader = Reader("claude", self._fold_line, self._fold.odd)
        self._pump = asyncio.create_task(self._listen(), name=f"claude {child.pid}")

    @property
    def pid(self) -> int:
        return self._child.pid

    async def open(self) -> None:
        """Say the prompt; the answers come as events."""
        message = {
            "type": "user",
            "message": {"role": "user", "content": opening_prompt(self._job)},
            "parent_tool_use_id": None,
            "session_id": "",
            # Verbatim: no slash command, no @file, whatever the text begins with.
            "client_composed": True,
        }
        if self._job.message_id is not None:
            # The transcript keeps it, which shows after a kill whether the prompt had arrived.
            message["uuid"] = self._job.message_id
        await self._send(message)

    async def events(self) -> AsyncGenerator[Event, None]:
        try:
            while True:
                event = await self._events.get()
                yield event
                if isinstance(event, Ended):
                    return
        finally:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            await self._child.close()

    async def answer(self, request_id: str, answer: Answer) -> None:
        pending = self._pending.get(request_id)
        if pending is None:
            return
        del self._pending[request_id]
        pending.take(answer)
        if (response := pending.response()) is not None:
            await self._respond(pending.control_id, response)
        else:
            await self._ask(pending)

    async def interrupt(self) -> None:
        """End the turn with its result, and so with its usage and cost."""
        self._interrupted = True
        self._requests += 1
        await self._send(
            {
                "type": "control_request",
                "request_id": f"interrupt-{self._requests}",
                "request": {"subtype": "interrupt"},
            }
        )

    async def kill(self, *, grace_s: float) -> None:
        self._killed = True
        await self._child.kill(grace_s=grace_s)

    async def _listen(self) -> None:
        """Read until the process is gone, then say how it ended, whatever happens here."""
        fault = None
        try:
            await self._read_lines()
            returncode = await self._leave()
        except Exception:
            logger.exception("claude's output could not be followed")
            fault = FAULT
            await self._child.kill(grace_s=0.0)
            returncode = await self._child.wait()
        end = Exit(
            returncode=returncode,
            stderr=self._child.stderr_tail,
            interrupted=self._interrupted,
            killed=self._killed,
            fault=fault,
        )
        await self._events.put(self._ended(end))

    def _ended(self, end: Exit) -> Ended:
        try:
            return classify(self._fold, end)
        except Exception:
            logger.exception("claude's end could not be classified")
            return Ended(
                outcome=Outcome.INTERNAL,
                text=self._fold.text,
                error=FAULT,
                session_id=self._fold.session_id,
                usage=self._fold.usage,
                partial=True,
            )

    async def _read_lines(self) -> None:
        """Read until the turn is over: idle after a result, silent after one, or at the end."""
        while not (over := self._over()):
            try:
                async with asyncio.timeout(SETTLE_S if over is None else None):
                    raw = await self._child.stdout.line()
            except TimeoutError:
                return
            if raw is None:
                return
            await self._take(raw)

    def _over(self) -> bool | None:
        return False if self._pending else self._fold.over

    async def _leave(self) -> int:
        """Close stdin, read what is still said, and wait for the exit."""
        self._child.close_stdin()
        with suppress(TimeoutError):
            async with asyncio.timeout(EXIT_GRACE_S):
                async for raw in self._child.stdout:
                    await self._take(raw)
                return await self._child.wait()
        await self._child.kill(grace_s=TERM_GRACE_S)
        return await self._child.wait()

    async def _take(self, raw: bytes) -> None:
        for event in self._reader.events(raw):
            await self._events.put(event)
        while self._control:
            await self._controlled(self._control.popleft())

    def _fold_line(self, raw: bytes) -> Iterable[Event]:
        line = json_object(raw)
        if line is None:
            if raw.strip():
                self._fold.odd.note("a line that is no JSON object")
        elif line.get("type") in ("control_request", "control_cancel_request"):
            self._control.append(line)
        else:
            return self._fold.take(line)
        return ()

    async def _controlled(self, line: dict[str, Any]) -> None:
        if line["type"] == "control_request":
            await self._control_request(line)
        else:
            await self._control_cancel(line.get("request_id"))

    async def _control_request(self, line: dict[str, Any]) -> None:
        """Every request gets an answer: the CLI waits for it, and what is not asked is denied."""
        control_id = line.get("request_id")
        request = Part(line, self._fold.odd, "control_request").part("request")
        if request.text("subtype") != "can_use_tool":
            error = f"this host does not know {request.text('subtype')[:100]}"
            response = {"subtype": "error", "request_id": control_id, "error": error}
            await self._send({"type": "control_response", "response": response})
            return
        pending = PendingRequest.of(control_id, request)
        if (denial := pending.response()) is not None:
            await self._respond(control_id, denial)
            return
        if granted_by(self._grant, pending):
            self._grant = None
            pending.take(Answer(allow=True))
            await self._respond(control_id, pending.response() or {})
            return
        await self._ask(pending)

    async def _ask(self, pending: PendingRequest) -> None:
        # A name of our own: what the CLI calls a request may come twice, for two calls.
        self._asked += 1
        asked = pending.next_question(f"{pending.control_id}"[:100] + f":{self._asked}")
        self._pending[asked.request_id] = pending
        await self._events.put(asked)

    async def _control_cancel(self, control_id: object) -> None:
        for request_id, pending in tuple(self._pending.items()):
            if pending.control_id == control_id:
                del self._pending[request_id]
                await self._events.put(ApprovalWithdrawn(request_id))

    async def _respond(self, control_id: object, response: dict[str, Any]) -> None:
        answer = {"subtype": "success", "request_id": control_id, "response": response}
        await self._send({"type": "control_response", "response": answer})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._child.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
