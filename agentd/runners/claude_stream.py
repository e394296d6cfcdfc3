"""Folding Claude Code's stream-json lines: events for the node, facts for the classification.

Pure: no process, no clock. Field names and traps were measured on CLI 2.1.330.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from agentd.runners.long_calls import long_calls_of, together
from agentd.runners.protocol import (
    Event,
    LimitNoticed,
    RetryNoticed,
    SessionStarted,
    TextSaid,
    ToolEnded,
    ToolStarted,
    UsageSeen,
)
from agentd.runners.tool_text import clipped, result_text, summary_of
from common.clock import to_datetime
from common.wire.usage import LongCalls, Usage

Line = dict[str, Any]


@dataclass(slots=True)
class Tokens:
    """Running totals of one model. A message that did not end has no price: `cost_known`."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True

    def add(self, other: Tokens) -> None:
        self.input += other.input
        self.output += other.output
        self.cache_read += other.cache_read
        self.cache_write += other.cache_write
        self.cache_write_1h += other.cache_write_1h
        self.cost_usd += other.cost_usd
        self.cost_known = self.cost_known and other.cost_known

    def as_usage(self, model: str, calls: Iterable[LongCalls] = ()) -> Usage:
        return Usage(
            model=model,
            input_tokens=self.input,
            output_tokens=self.output,
            cache_read_tokens=self.cache_read,
            cache_write_tokens=self.cache_write,
            cache_write_1h_tokens=self.cache_write_1h,
            cost_usd=self.cost_usd if self.cost_known else None,
            long_calls=list(calls),
        )


@dataclass(slots=True)
class Message:
    """One API message since the last result; `message_delta` carries its true output count."""

    model: str
    tokens: Tokens

    @property
    def long_calls(self) -> list[LongCalls]:
        """Itself, where it was a long one."""
        return long_calls_of(msgspec.structs.replace(self.tokens.as_usage(self.model), calls=1))


@dataclass(slots=True)
class Fold:
    """All that was seen of a run. `take` accepts one line and returns what it means."""

    session_id: str | None = None
    result: Line | None = None
    results: int = 0
    errors: list[Line] = field(default_factory=list)
    limit: Line | None = None
    retry: Line | None = None
    denials: list[Line] = field(default_factory=list)
    idle: bool = False
    last_text: str = ""
    _settled: dict[str, Tokens] = field(default_factory=dict)
    _open: dict[str, Message] = field(default_factory=dict)
    _long: dict[str, list[LongCalls]] = field(default_factory=dict)
    _streaming: dict[str | None, str] = field(default_factory=dict)
    _tools: dict[str, str] = field(default_factory=dict)
    _text_open: bool = False

    def take(self, line: Line) -> list[Event]:
        match line.get("type"):
            case "system":
                return list(self._system(line))
            case "stream_event":
                return list(self._stream_event(line))
            case "assistant":
                return list(self._assistant(line))
            case "user":
                return list(self._user(line))
            case "rate_limit_event":
                return list(self._rate_limit(line))
            case "result":
                return list(self._result(line))
        return []

    @property
    def usage(self) -> tuple[Usage, ...]:
        """Everything used so far, by model: settled results and messages still open."""
        totals: dict[str, Tokens] = {}
        for model, tokens in self._settled.items():
            totals.setdefault(model, Tokens()).add(tokens)
        for message in self._open.values():
            totals.setdefault(message.model, Tokens()).add(message.tokens)
        calls = self._calls()
        return tuple(
            tokens.as_usage(model, calls.get(model, ())) for model, tokens in sorted(totals.items())
        )

    def _calls(self) -> dict[str, list[LongCalls]]:
        """The long calls seen so far, by model: results give sums only."""
        calls = {model: list(bands) for model, bands in self._long.items()}
        for message in self._open.values():
            if bands := message.long_calls:
                calls[message.model] = together([*calls.get(message.model, ()), *bands])
        return calls

    @property
    def partial(self) -> bool:
        """Whether some message was never accounted for by a result."""
        return bool(self._open)

    @property
    def cost_usd(self) -> float | None:
        """The CLI's own figure; None as soon as part of it is not known."""
        usage = self.usage
        if not usage and self.session_id is None:
            return 0.0  # it never came to its first request
        if self.results == 0 or any(item.cost_usd is None for item in usage):
            return None
        return sum((item.cost_usd or 0.0 for item in usage), 0.0)

    @property
    def resets_at(self) -> datetime | None:
        resets = (self.limit or {}).get("resetsAt")
        return to_datetime(float(resets)) if isinstance(resets, int | float) else None

    def _system(self, line: Line) -> Iterator[Event]:
        match line.get("subtype"):
            case "init":
                self.session_id = line.get("session_id", self.session_id)
                yield SessionStarted(
                    session_id=self.session_id or "",
                    model=line.get("model"),
                    tools=tuple(line.get("tools", ())),
                )
            case "session_state_changed":
                self.idle = line.get("state") == "idle"
            case "permission_denied":
                self.denials.append(line)
            case "api_retry":
                self.retry = line
                yield RetryNoticed(
                    attempt=int(line.get("attempt", 0)),
                    of=int(line.get("max_retries", 0)),
                    delay_s=float(line.get("retry_delay_ms", 0)) / 1000,
                    status=line.get("error_status"),
                    reason=str(line.get("error") or ""),
                )

    def _stream_event(self, line: Line) -> Iterator[Event]:
        event: Line = line.get("event", {})
        parent = line.get("parent_tool_use_id")
        match event.get("type"):
            case "message_start":
                message: Line = event.get("message", {})
                message_id = str(message.get("id"))
                self._streaming[parent] = message_id
                self._note_message(message_id, message)
                yield UsageSeen(self.usage)
            case "message_delta":
                self._note_output(self._streaming.get(parent), event.get("usage", {}))
                yield UsageSeen(self.usage)
            case "content_block_start" if parent is None:
                block: Line = event.get("content_block", {})
                if block.get("type") == "text" and self._text_open:
                    yield TextSaid("\n\n")
            case "content_block_delta" if parent is None:
                yield from self._delta(event.get("delta", {}))

    def _delta(self, delta: Line) -> Iterator[Event]:
        match delta.get("type"):
            case "text_delta":
                self._text_open = True
                yield TextSaid(str(delta.get("text", "")))
            case "thinking_delta":
                yield TextSaid(str(delta.get("thinking", "")), thinking=True)

    def _assistant(self, line: Line) -> Iterator[Event]:
        message: Line = line.get("message", {})
        if "error" in line:
            self.errors.append(line)
        if message.get("model") != "<synthetic>":
            self._note_message(str(message.get("id")), message)
        is_main = line.get("parent_tool_use_id") is None
        for block in message.get("content", ()):
            if block.get("type") == "text" and is_main:
                self.last_text = str(block.get("text", ""))
            if block.get("type") == "tool_use":
                tool_id, tool = str(block.get("id")), str(block.get("name"))
                self._tools[tool_id] = tool
                self._text_open = False
                yield ToolStarted(
                    tool_id=tool_id, tool=tool, summary=summary_of(tool, block.get("input", {}))
                )

    def _user(self, line: Line) -> Iterator[Event]:
        content = line.get("message", {}).get("content", ())
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_result":
                tool_id = str(block.get("tool_use_id"))
                yield ToolEnded(
                    tool_id=tool_id,
                    tool=self._tools.pop(tool_id, ""),
                    text=clipped(result_text(block.get("content"))),
                    is_error=bool(block.get("is_error")),
                )

    def _rate_limit(self, line: Line) -> Iterator[Event]:
        info: Line = line.get("rate_limit_info", {})
        if info.get("status") == "rejected":
            self.limit = info
            yield LimitNoticed(self.resets_at)

    def _result(self, line: Line) -> Iterator[Event]:
        self.result = line
        self.results += 1
        self.session_id = line.get("session_id", self.session_id)
        for model, used in line.get("model_usage_since_last_result", {}).items():
            self._settled.setdefault(model, Tokens()).add(_settled_tokens(used))
        self._long = self._calls()
        self._open.clear()
        self._streaming.clear()
        yield UsageSeen(self.usage)

    def _note_message(self, message_id: str, message: Line) -> None:
        """Count a message once; its output count here is only the opening one."""
        if message_id in self._open:
            return
        usage: Line = message.get("usage", {})
        hour = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
        self._open[message_id] = Message(
            model=str(message.get("model", "unknown")),
            tokens=Tokens(
                input=_count(usage.get("input_tokens")),
                output=_count(usage.get("output_tokens")),
                cache_read=_count(usage.get("cache_read_input_tokens")),
                cache_write=_count(usage.get("cache_creation_input_tokens")),
                cache_write_1h=_count(hour),
                cost_known=False,
            ),
        )

    def _note_output(self, message_id: str | None, usage: Line) -> None:
        if message_id is not None and message_id in self._open:
            tokens = self._open[message_id].tokens
            tokens.output = max(tokens.output, _count(usage.get("output_tokens")))


def _settled_tokens(used: Line) -> Tokens:
    cost = used.get("costUSD")
    known = isinstance(cost, int | float) and used.get("costBasis") != "unknown"
    return Tokens(
        input=_count(used.get("inputTokens")),
        output=_count(used.get("outputTokens")),
        cache_read=_count(used.get("cacheReadInputTokens")),
        cache_write=_count(used.get("cacheCreationInputTokens")),
        cache_write_1h=_count(used.get("cacheCreationEphemeral1hInputTokens")),
        cost_usd=float(cost) if known and cost is not None else 0.0,
        cost_known=known,
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
