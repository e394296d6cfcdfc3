"""Folding Claude Code's stream-json lines: events for the node, facts for the classification.

Pure: no process, no clock. Field names and traps were measured on CLI 2.1.330. Any field may be
missing or of another type: what can be read counts, the rest is noted once and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agentd.runners.claude_usage import Books
from agentd.runners.foreign import Oddities, Part
from agentd.runners.protocol import (
    Event,
    LimitNoticed,
    Noticed,
    RetryNoticed,
    SessionStarted,
    TextSaid,
    ToolEnded,
    ToolStarted,
    UsageSeen,
)
from agentd.runners.tool_text import clipped, result_text, summary_of
from common.wire.usage import Usage

Line = dict[str, Any]

WITHOUT_SERVER = ("failed", "needs-auth", "disconnected")
OPEN_STATES = ("pending", "running", "paused")
NOT_MODEL = "<synthetic>"
"""Who says what the CLI itself has to say, such as that a limit is reached."""

IGNORED = frozenset(
    {"tool_progress", "command_lifecycle", "conversation_reset", "control_response", "keep_alive"}
)


def is_failure(result: Part) -> bool:
    """Whether a result closes a turn that failed. An API failure calls itself a success, so the
    subtype alone says nothing; where `is_error` cannot be read, other fields tell."""
    if result.text("subtype").startswith("error"):
        return True
    if isinstance(result.value.get("is_error"), bool):
        return result.flag("is_error")
    return result.text("terminal_reason") == "api_error" or "api_error_status" in result


@dataclass(slots=True)
class Fold:
    """All that was seen of a run. `take` accepts one line and returns what it means."""

    session_id: str | None = None
    model: str | None = None
    result: Part | None = None
    """The last result line."""
    results: int = 0
    errors: list[str] = field(default_factory=list)
    """What the CLI named each failed call of the model."""
    limit: Part | None = None
    servers: dict[str, str] = field(default_factory=dict)
    """MCP servers and what was last said of them."""
    tools: dict[str, str] = field(default_factory=dict)
    """Every tool call of the run, by id."""
    denied: dict[str, str] = field(default_factory=dict)
    fallback: str | None = None
    """The model that answered in place of the one that was asked for."""
    idle: bool = False
    told_states: bool = False
    odd: Oddities = field(default_factory=Oddities)
    books: Books = field(default_factory=Books)
    _background: set[str] = field(default_factory=set)
    _answer: str = ""
    _said: str = ""
    _streamed: str = ""
    _running: dict[str, str] = field(default_factory=dict)
    _text_open: bool = False

    def take(self, line: Line) -> list[Event]:
        kind = line.get("type")
        where = kind if isinstance(kind, str) else ""
        part = Part(line, self.odd, where)
        match kind:
            case "system":
                return list(self._system(part))
            case "stream_event":
                return list(self._stream_event(part))
            case "assistant":
                return list(self._assistant(part))
            case "user":
                return list(self._user(part))
            case "rate_limit_event":
                return list(self._rate_limit(part))
            case "result":
                return list(self._result(part))
        if where not in IGNORED:
            self.odd.note("a line of an unknown type")
        return []

    @property
    def text(self) -> str:
        """The answer: what results said or closed, and what was said after the last of them."""
        said = self._said.strip() or self._streamed.strip()
        return "\n\n".join(filter(None, (self._answer, said)))

    @property
    def over(self) -> bool | None:
        """Whether a result was the last word; None: nothing says so but silence.

        The CLI's own word decides as soon as it told one: idle comes only after subagents and
        background work have reported.
        """
        if self.results == 0:
            return False
        if self.told_states:
            return self.idle
        return False if self._background else None

    @property
    def usage(self) -> tuple[Usage, ...]:
        return self.books.usage

    @property
    def partial(self) -> bool:
        return self.books.partial

    @property
    def cost_usd(self) -> float | None:
        if not self.usage and self.session_id is None:
            return 0.0  # it never came to its first request
        return self.books.cost_usd

    @property
    def resets_at(self) -> datetime | None:
        return None if self.limit is None else self.limit.moment("resetsAt")

    def _system(self, line: Part) -> Iterator[Event]:
        match line.text("subtype"):
            case "init":
                yield from self._init(line)
            case "session_state_changed":
                self.told_states = True
                self.idle = line.text("state") == "idle"
            case "permission_denied":
                self._note_denied(line)
            case "model_fallback":
                self.fallback = line.name("fallback_model") or "another model"
            case "task_started" | "task_updated" | "task_notification" as told:
                self._note_background(told, line)
            case "api_retry":
                yield RetryNoticed(
                    attempt=line.count("attempt"),
                    of=line.count("max_retries"),
                    delay_s=(line.number("retry_delay_ms") or 0.0) / 1000,
                    status=line.count("error_status") or None,
                    reason=line.text("error")[:200],
                )

    def _init(self, line: Part) -> Iterator[Event]:
        self.idle = False
        self.session_id = line.name("session_id") or self.session_id
        self.model = line.name("model") or self.model
        if "mcp_servers" in line:
            for server in line.parts("mcp_servers"):
                if name := server.name("name"):
                    status = server.text("status")
                    if status in WITHOUT_SERVER and self.servers.get(name) != status:
                        yield Noticed(f"the tools of {name} (MCP) are missing: {status}")
                    self.servers[name] = status
        tools = line.texts("tools") if "tools" in line else []
        yield SessionStarted(session_id=self.session_id or "", model=self.model, tools=tuple(tools))

    def _note_background(self, told: str, line: Part) -> None:
        """Subagents and background shells that have not reported yet."""
        task_id = line.name("task_id")
        status = line.part("patch").text("status") if told == "task_updated" else ""
        if task_id is None or (told == "task_updated" and not status):
            return
        if told == "task_started" or status in OPEN_STATES:
            self._background.add(task_id)
        else:
            self._background.discard(task_id)

    def _note_denied(self, line: Part) -> None:
        tool = line.name("tool_name") or "a tool"
        self.denied[line.name("tool_use_id") or f"nameless {len(self.denied)}"] = tool

    def _stream_event(self, line: Part) -> Iterator[Event]:
        event = line.part("event")
        parent = line.name("parent_tool_use_id")
        match event.text("type"):
            case "message_start":
                self.books.began(parent, event.part("message"))
                yield UsageSeen(self.usage)
            case "message_delta":
                self.books.grew(parent, event.part("usage"))
                yield UsageSeen(self.usage)
            case "content_block_start" if parent is None:
                if event.part("content_block").text("type") == "text":
                    self._streamed = ""
                    if self._text_open:
                        yield TextSaid("\n\n")
            case "content_block_delta" if parent is None:
                yield from self._delta(event.part("delta"))

    def _delta(self, delta: Part) -> Iterator[Event]:
        match delta.text("type"):
            case "text_delta":
                self._text_open = True
                self._streamed += delta.text("text")
                yield TextSaid(delta.text("text"))
            case "thinking_delta":
                yield TextSaid(delta.text("thinking"), thinking=True)

    def _assistant(self, line: Part) -> Iterator[Event]:
        self.idle = False
        message = line.part("message")
        failed = "error" in line
        if failed:
            self.errors.append(line.text("error") or "unknown")
        synthetic = message.text("model") == NOT_MODEL
        if not synthetic:
            self.books.saw(message.text("id"), message)
        is_main = line.name("parent_tool_use_id") is None
        texts = []
        for block in _blocks(message):
            match block.text("type"):
                case "text" if is_main and not failed and not synthetic:
                    texts.append(block.text("text"))
                case "tool_use":
                    yield self._tool_use(block)
        if any(text.strip() for text in texts):
            self._said, self._streamed = "\n\n".join(texts), ""

    def _tool_use(self, block: Part) -> ToolStarted:
        tool_id, tool = block.name("id") or "", block.name("name") or "a tool"
        self.tools[tool_id] = self._running[tool_id] = tool
        self._text_open = False
        call = dict(block.part("input").value)
        return ToolStarted(tool_id=tool_id, tool=tool, summary=summary_of(tool, call))

    def _user(self, line: Part) -> Iterator[Event]:
        self.idle = False
        message = line.part("message")
        if isinstance(message.value.get("content"), str):
            return
        for block in message.parts("content"):
            if block.text("type") == "tool_result":
                tool_id = block.name("tool_use_id") or ""
                yield ToolEnded(
                    tool_id=tool_id,
                    tool=self._running.pop(tool_id, ""),
                    text=clipped(result_text(block.value.get("content"))),
                    is_error="is_error" in block and block.flag("is_error"),
                )

    def _rate_limit(self, line: Part) -> Iterator[Event]:
        info = line.part("rate_limit_info")
        if info.text("status") == "rejected":
            self.limit = info
            yield LimitNoticed(self.resets_at)

    def _result(self, line: Part) -> Iterator[Event]:
        self.result = line
        self.results += 1
        self.session_id = line.name("session_id") or self.session_id
        if "permission_denials" in line or line.value.get("permission_denials", ()) is None:
            for denial in line.parts("permission_denials"):
                self._note_denied(denial)
        if not is_failure(line):
            self._close_answer(line.text("result"))
        self.books.settle(line, self.model)
        yield UsageSeen(self.usage)

    def _close_answer(self, closing: str) -> None:
        """The last result that says something, or has had something said before it, counts."""
        said = next((text for text in (closing, self._streamed, self._said) if text.strip()), None)
        if said is not None:
            self._answer, self._said, self._streamed = said, "", ""


def _blocks(message: Part) -> list[Part]:
    """The message's content; a bare string stands for one block of text, as in the model's API."""
    said = message.value.get("content")
    if isinstance(said, str):
        return [Part({"type": "text", "text": said}, message.odd, f"{message.where}.content")]
    return message.parts("content")
