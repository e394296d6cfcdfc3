"""The command runner: any program that reads a prompt on stdin and writes its answer to stdout.

A line of stdout that is a JSON object with the key `mesh` is not part of the answer but tells
something: `session`, `text`, `tool`, `usage`, `limit` or `error` (docs/RUNNERS.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from agentd.child import Child
from agentd.errors import RunnerUnavailableError
from agentd.lines import json_object
from agentd.runners.exits import Exit
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
from common.clock import to_datetime
from common.model_class import model_class
from common.wire.tasks import Outcome, Usage

TEMPORARY = 75
CONFIGURATION = 78
"""Exit codes of sysexits.h that a program may use to say what kind of failure it was."""

ERROR_CHARS = 2000


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
        return LineRun(child, with_brief(brief, job.prompt), CommandFold(job.session_id))


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

    def take(self, line: bytes) -> Iterator[Event]:
        control = _control(line)
        if control is not None:
            yield from self._told(control)
            return
        text = line.decode(errors="replace")
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

    def _told(self, control: dict[str, Any]) -> Iterator[Event]:
        match control.get("mesh"):
            case "session" if isinstance(control.get("id"), str):
                self.session_id = control["id"]
                yield SessionStarted(session_id=control["id"])
            case "text":
                yield TextSaid(str(control.get("text", "")))
                self.text.append(str(control.get("text", "")))
            case "tool":
                yield _tool(control)
            case "usage" | "call" as kind:
                yield from self._used(control, one_more=kind == "call")
            case "limit":
                self.outcome = Outcome.PROVIDER_LIMIT
                model = control.get("model")
                self.limited_model = model_class(model) if isinstance(model, str) else None
                if isinstance(control.get("resets_at"), int | float):
                    self.resets_at = to_datetime(float(control["resets_at"]))
                yield LimitNoticed(self.resets_at)
            case "error":
                self.error = str(control.get("message") or "it said it failed")
                self.outcome = _outcome(control.get("outcome"))

    def _used(self, control: dict[str, Any], *, one_more: bool) -> Iterator[Event]:
        fields = {key: value for key, value in control.items() if key != "mesh"}
        try:
            usage = msgspec.convert({"model": "unknown"} | fields, Usage)
        except msgspec.ValidationError:
            return
        # A report of a model's usage replaces the one before: totals, not differences.
        total = self.usage.get(usage.model) if one_more else None
        self.usage[usage.model] = added(total, usage) if one_more else usage
        yield UsageSeen(tuple(self.usage.values()))


def _control(line: bytes) -> dict[str, Any] | None:
    value = json_object(line) if line.startswith(b"{") else None
    return value if value is not None and "mesh" in value else None


def _tool(control: dict[str, Any]) -> Event:
    tool_id, tool = str(control.get("id", "")), str(control.get("tool", "tool"))
    text = str(control.get("text", ""))
    if control.get("done"):
        is_error = bool(control.get("is_error"))
        return ToolEnded(tool_id=tool_id, tool=tool, text=text, is_error=is_error)
    return ToolStarted(tool_id=tool_id, tool=tool, summary=text)


def _outcome(word: object) -> Outcome:
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
