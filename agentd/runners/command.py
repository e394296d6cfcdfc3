"""The command runner: any program that reads a prompt on stdin and writes its answer to stdout.

A line of stdout that is a JSON object with the key `mesh` is not part of the answer but tells
something: `session`, `text`, `tool`, `usage`, `limit` or `error` (docs/RUNNERS.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agentd.child import Child
from agentd.errors import RunnerUnavailableError
from agentd.lines import BOM, json_object
from agentd.runners.exits import Exit
from agentd.runners.foreign import Oddities, Part
from agentd.runners.line_run import LineRun, with_brief
from agentd.runners.long_calls import added
from agentd.runners.programs import find_program
from agentd.runners.protocol import (
    Ended,
    Event,
    Job,
    LimitNoticed,
    RunnerFacts,
    SessionStarted,
    TextSaid,
    ToolEnded,
    ToolStarted,
    UsageSeen,
)
from common.model_class import model_class
from common.wire.tasks import Outcome, Usage

TEMPORARY = 75
CONFIGURATION = 78
"""Exit codes of sysexits.h that a program may use to say what kind of failure it was."""

ERROR_CHARS = 2000
MAX_CALLS = 10**9
MAX_MODELS = 50
"""What one result may name."""


class CommandRunner:
    """Starts `agent.command` for each attempt."""

    name = "command"

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str]) -> None:
        self._argv = tuple(argv)
        self._environment = environment

    async def check(self) -> RunnerFacts:
        return RunnerFacts({"command": await self.find()})

    async def find(self) -> str:
        """Where the program is now."""
        if not self._argv:
            raise RunnerUnavailableError(
                "the command runner has no command. Set agent.command in mesh.toml, for example"
                ' ["/usr/local/bin/my-worker", "--quiet"]'
            )
        found = find_program(self._argv[0], self._environment.get("PATH"))
        if found is None:
            raise RunnerUnavailableError(
                f"the program of agent.command, {self._argv[0]}, is not there or not executable."
            )
        return found

    async def start(self, job: Job) -> LineRun:
        program = await self.find()
        child = await Child.spawn(
            (program, *self._argv[1:]),
            folder=job.folder,
            environment=dict(job.environment) | job_variables(job),
        )
        brief = job.specialist.prompt if job.specialist is not None else None
        return LineRun(self.name, child, with_brief(brief, job.prompt), CommandFold(job.session_id))


def job_variables(job: Job) -> dict[str, str]:
    """What a program may want to know of its task besides the prompt."""
    known = {
        "MESH_MODEL": job.model,
        "MESH_SESSION": job.session_id,
        "MESH_SPECIALIST": job.specialist.name if job.specialist is not None else None,
        "MESH_MAX_COST_USD": None if job.max_cost_usd is None else f"{job.max_cost_usd:.6f}",
    }
    return {name: value for name, value in known.items() if value}


@dataclass(slots=True)
class CommandFold:
    """The answer so far, and what control lines said."""

    session_id: str | None = None
    text: list[str] = field(default_factory=list)
    usage: dict[str, Usage] = field(default_factory=dict)
    outcome: Outcome | None = None
    error: str | None = None
    resets_at: datetime | None = None
    limited_model: str | None = None
    odd: Oddities = field(default_factory=Oddities)

    def take(self, line: bytes) -> Iterator[Event]:
        control = _control(line)
        if control is not None:
            yield from self._told(Part(control, self.odd, "mesh line"))
            return
        text = line.removeprefix(BOM).removesuffix(b"\r").decode(errors="replace")
        yield TextSaid(f"{text}\n")
        self.text.append(text)

    def ended(self, end: Exit) -> Ended:
        outcome, error = self._verdict(end)
        usage = tuple(self.usage.values())
        costs = [item.cost_usd for item in usage if item.cost_usd is not None]
        return Ended(
            outcome=outcome,
            text="\n".join(self.text).strip(),
            error=error[-ERROR_CHARS:] if error else None,
            session_id=self.session_id,
            usage=usage,
            cost_usd=sum(costs) if usage and len(costs) == len(usage) else None,
            limited_model=self.limited_model if outcome is Outcome.PROVIDER_LIMIT else None,
            resets_at=self.resets_at,
            partial=outcome in (Outcome.KILLED, Outcome.INTERRUPTED),
        )

    def _verdict(self, end: Exit) -> tuple[Outcome, str | None]:
        if end.returncode == 0 and self.outcome is None:
            return Outcome.OK, None
        if end.ours is not None:
            return end.ours
        complaint = self.error or end.stderr.strip() or f"it ended with {end.returncode}"
        if self.outcome is not None:
            return self.outcome, complaint
        if end.by_signal:
            return Outcome.NODE_FAULT, f"ended by a signal from outside. {end.stderr}".strip()
        match end.returncode:
            case 126 | 127:
                return Outcome.NODE_FAULT, complaint
            case code if code == TEMPORARY:
                return Outcome.PROVIDER_BUSY, complaint
            case code if code == CONFIGURATION:
                return Outcome.PERMANENT, complaint
        return Outcome.TASK_ERROR, complaint

    def _told(self, control: Part) -> Iterator[Event]:
        match control.text("mesh"):
            case "session":
                if session_id := control.name("id"):
                    self.session_id = session_id
                    yield SessionStarted(session_id=session_id)
            case "text":
                yield TextSaid(control.text("text"))
                self.text.append(control.text("text"))
            case "tool":
                yield _tool(control)
            case "usage" | "call" as kind:
                yield from self._used(control, one_more=kind == "call")
            case "limit":
                self.outcome = Outcome.PROVIDER_LIMIT
                self.limited_model = model_class(control.name("model"))
                self.resets_at = control.moment("resets_at")
                yield LimitNoticed(self.resets_at)
            case "error":
                self.error = control.text("message") or "it said it failed"
                self.outcome = _outcome(control.text("outcome"))
            case _:
                self.odd.note("a mesh line that says nothing known")

    def _used(self, control: Part, *, one_more: bool) -> Iterator[Event]:
        usage = _usage(control)
        if usage.model not in self.usage and len(self.usage) >= MAX_MODELS:
            self.odd.note("more models than can be counted")
            return
        # A report of a model's usage replaces the one before: totals, not differences.
        total = self.usage.get(usage.model) if one_more else None
        self.usage[usage.model] = added(total, usage) if one_more else usage
        yield UsageSeen(tuple(self.usage.values()))


def _control(line: bytes) -> dict[str, Any] | None:
    bare = line.removeprefix(BOM).lstrip()
    value = json_object(bare) if bare.startswith(b"{") else None
    return value if value is not None and "mesh" in value else None


def _usage(control: Part) -> Usage:
    """What can be read of a usage line; a wrong field costs no other."""
    return Usage(
        model=control.name("model") or "unknown",
        input_tokens=control.count("input_tokens"),
        output_tokens=control.count("output_tokens"),
        cache_read_tokens=control.count("cache_read_tokens"),
        cache_write_tokens=control.count("cache_write_tokens"),
        cache_write_1h_tokens=control.count("cache_write_1h_tokens"),
        cost_usd=control.dollars("cost_usd"),
        calls=min(control.count("calls"), MAX_CALLS) or None,
    )


def _tool(control: Part) -> Event:
    tool_id, tool = control.name("id") or "", control.name("tool") or "tool"
    text = control.text("text")
    if "done" in control and control.flag("done"):
        is_error = "is_error" in control and control.flag("is_error")
        return ToolEnded(tool_id=tool_id, tool=tool, text=text, is_error=is_error)
    return ToolStarted(tool_id=tool_id, tool=tool, summary=text)


def _outcome(word: str) -> Outcome:
    """A program may say it was the task, the provider or the login; the rest is not its to say."""
    allowed = (
        Outcome.TASK_ERROR,
        Outcome.PERMANENT,
        Outcome.PROVIDER_BUSY,
        Outcome.PROVIDER_LIMIT,
        Outcome.NEEDS_LOGIN,
        Outcome.NODE_FAULT,
    )
    return next((outcome for outcome in allowed if outcome == word), Outcome.TASK_ERROR)
