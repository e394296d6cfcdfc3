"""Codex as a runner: `codex exec --json`, prompt on stdin, its own sandbox instead of questions.

It gives no cost (the hub estimates one), and counts usage over a whole session, resumed ones too:
what earlier runs of a session used is remembered here and taken off. Measured on 0.169.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agentd.child import Child
from agentd.errors import RunnerUnavailableError
from agentd.lines import json_object
from agentd.runners.codex_outcome import blame_failure, classify_failure, status_in
from agentd.runners.exits import NOT_RUN_CODES, Exit
from agentd.runners.foreign import Oddities, Part
from agentd.runners.line_run import LineRun, with_brief
from agentd.runners.programs import beside, find_tool, must_answer
from agentd.runners.protocol import (
    Ended,
    Event,
    Job,
    RetryNoticed,
    RunnerFacts,
    SessionStarted,
    TextSaid,
    ToolEnded,
    ToolStarted,
    UsageSeen,
)
from agentd.runners.reset_words import reset_in_words
from agentd.runners.tool_text import clipped
from common.paths import make_private_dir, write_private_file
from common.wire.tasks import Outcome, Usage

THREAD_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
SESSION_GONE = "no rollout found"
READ_ONLY_MODES = ("plan",)
ERROR_CHARS = 2000

KINDS = (
    "thread.started",
    "turn.started",
    "turn.completed",
    "turn.failed",
    "item.started",
    "item.updated",
    "item.completed",
    "error",
)

Counts = dict[str, int]

COUNTED = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexSettings:
    """What `[agent]` says about the Codex runner; `model` empty leaves it to Codex."""

    program: str = "codex"
    model: str = ""
    permission_mode: str = "acceptEdits"
    memory: Path


class CodexRunner:
    """Starts `codex exec` for each attempt."""

    name = "codex"

    def __init__(self, settings: CodexSettings, *, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._memory = UsageMemory(settings.memory)

    async def check(self) -> RunnerFacts:
        program = await self.find()
        await must_answer(program, beside(program, self._environment))
        return RunnerFacts({"codex": program})

    async def find(self) -> str:
        """Where the CLI is now."""
        found = find_tool(self._settings.program, self._environment)
        if found is None:
            raise RunnerUnavailableError(
                f"Codex was not found as {self._settings.program}. Install it"
                " (npm install -g @openai/codex), log in once with 'codex login', or set"
                " agent.codex in mesh.toml to its full path."
            )
        return found

    async def start(self, job: Job) -> LineRun:
        program = await self.find()
        argv = command_line(program, self._settings, job)
        environment = beside(program, job.environment)
        child = await Child.spawn(argv, folder=job.folder, environment=environment)
        brief = job.specialist.prompt if job.specialist is not None else None
        fold = CodexFold(
            model=job.model or self._settings.model or "codex",
            earlier=self._memory.recall,
            remember=self._memory.remember,
        )
        return LineRun(self.name, child, with_brief(brief, job.prompt), fold)


def command_line(program: str, settings: CodexSettings, job: Job) -> list[str]:
    """The argv of one run; `-` reads the prompt from stdin."""
    sandbox = "read-only" if settings.permission_mode in READ_ONLY_MODES else "workspace-write"
    options = ["--json", "--skip-git-repo-check", "-c", f'sandbox_mode="{sandbox}"']
    if not job.trust_project:
        options += ["-c", "project_doc_max_bytes=0"]
    if model := job.model or settings.model:
        options += ["-m", model]
    if job.session_id is not None:
        return [program, "exec", "resume", *options, job.session_id, "-"]
    return [program, "exec", *options, "-"]


class UsageMemory:
    """What each session had used when its last run ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, thread_id: str) -> Counts:
        if THREAD_ID.fullmatch(thread_id) is None:
            return {}
        try:
            counts = json.loads((self._folder / f"{thread_id}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(counts, dict):
            return {}
        noted = Part(counts, Oddities(), "memory")
        return {key: noted.count(key) for key in COUNTED}

    def remember(self, thread_id: str, counts: Counts) -> None:
        if THREAD_ID.fullmatch(thread_id) is not None:
            make_private_dir(self._folder)
            write_private_file(self._folder / f"{thread_id}.json", json.dumps(counts))


def local_now() -> datetime:
    """With the machine's zone, in which Codex writes times."""
    return datetime.now().astimezone()


@dataclass(slots=True)
class CodexFold:
    """What was seen of one `codex exec`."""

    model: str
    earlier: Callable[[str], Counts]
    remember: Callable[[str, Counts], None]
    now: Callable[[], datetime] = local_now
    session_id: str | None = None
    text: str = ""
    counts: Counts | None = None
    error: str | None = None
    failed: bool = False
    completed: bool = False
    odd: Oddities = field(default_factory=Oddities)
    _before: Counts = field(default_factory=dict)

    def take(self, line: bytes) -> Iterator[Event]:
        value = json_object(line)
        if value is None:
            if line.strip():
                self.odd.note("a line that is no JSON object")
            return
        kind = value.get("type")
        event = Part(value, self.odd, kind if isinstance(kind, str) and kind in KINDS else "line")
        match kind:
            case "thread.started":
                if session_id := event.name("thread_id"):
                    self.session_id = session_id
                    self._before = self.earlier(session_id)
                    yield SessionStarted(session_id=session_id, model=self.model)
            case "item.started" | "item.completed":
                yield from self._item(kind, event.part("item"))
            case "turn.completed":
                self.completed = True
                self._count(event.part("usage"))
                yield UsageSeen(self.usage)
            case "turn.failed":
                self.failed = True
                self.error = event.part("error").text("message") or "the turn failed"
            case "error":
                yield self._noticed(event.text("message"))
            case _ if kind not in KINDS:
                self.odd.note("a line of an unknown type")

    def ended(self, end: Exit) -> Ended:
        outcome, error = self._verdict(end)
        blame = blame_failure(outcome, error or "", self.model)
        limited = outcome is Outcome.PROVIDER_LIMIT
        return Ended(
            outcome=outcome,
            text=self.text,
            error=error[-ERROR_CHARS:] if error else None,
            session_id=self.session_id,
            usage=self.usage,
            partial=self.counts is None,
            resets_at=reset_in_words(error or "", self.now()) if limited else None,
            scope=blame.scope,
            limited_model=blame.limited_model,
            unfit=outcome is Outcome.INTERRUPTED and self._never_ran(end),
            session_gone=self.session_id is None and SESSION_GONE in (error or ""),
        )

    @property
    def usage(self) -> tuple[Usage, ...]:
        if self.counts is None:
            return ()
        used = {key: max(0, self.counts[key] - self._before.get(key, 0)) for key in COUNTED}
        cached, written = used["cached_input_tokens"], used["cache_write_input_tokens"]
        return (
            Usage(
                model=self.model,
                input_tokens=max(0, used["input_tokens"] - cached - written),
                output_tokens=used["output_tokens"],
                cache_read_tokens=cached,
                cache_write_tokens=written,
            ),
        )

    def _count(self, usage: Part) -> None:
        if not any(key in usage for key in COUNTED):
            return
        earlier = self.counts or self._before
        self.counts = {key: usage.count(key, earlier.get(key, 0)) for key in COUNTED}
        if self.session_id is not None:
            self.remember(self.session_id, self.counts)

    def _item(self, kind: str, item: Part) -> Iterator[Event]:
        match item.text("type"):
            case "agent_message" if kind == "item.completed":
                said = item.text("text")
                self.text = said if said.strip() else self.text
                yield TextSaid(said)
            case "reasoning" if kind == "item.completed":
                yield TextSaid(item.text("text"), thinking=True)
            case "command_execution" | "file_change" | "mcp_tool_call" | "web_search" as tool:
                yield from _tool(kind, tool, item)

    def _noticed(self, message: str) -> RetryNoticed:
        self.error = message
        return RetryNoticed(attempt=0, of=0, delay_s=0.0, status=status_in(message), reason=message)

    def _never_ran(self, end: Exit) -> bool:
        return end.returncode in NOT_RUN_CODES and self.session_id is None

    def _verdict(self, end: Exit) -> tuple[Outcome, str | None]:
        if end.returncode == 0 and not self.failed and self.completed:
            return Outcome.OK, None
        if end.ours is not None:
            return end.ours
        complaint = self.error or end.stderr.strip() or f"codex ended with {end.returncode}"
        if self.failed:
            return classify_failure(complaint), complaint
        if end.by_signal:
            return Outcome.NODE_FAULT, "codex was ended by a signal from outside"
        if self._never_ran(end):
            return Outcome.INTERRUPTED, f"codex could not be run ({complaint}). Install it again."
        if self.session_id is None:
            return Outcome.PERMANENT, complaint
        return Outcome.NODE_FAULT, f"codex ended without a result. {complaint}"


def _tool(kind: str, tool: str, item: Part) -> Iterator[Event]:
    tool_id = item.name("id") or ""
    told = item.text("command") or item.text("query") or item.text("tool")
    if kind == "item.started":
        yield ToolStarted(tool_id=tool_id, tool=tool, summary=clipped(told, 300))
    else:
        yield ToolEnded(
            tool_id=tool_id,
            tool=tool,
            text=clipped(item.text("aggregated_output")),
            is_error=item.text("status") == "failed" or bool(item.value.get("exit_code")),
        )
