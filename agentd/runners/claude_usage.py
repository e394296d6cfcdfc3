"""The books of a Claude Code run: what each model used, from results and from open messages.

A result's account replaces what its messages had said. What a result leaves out or says in a form
that cannot be read stays as the messages had it, at a cost nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from agentd.runners.foreign import MAX_COUNT, MAX_DOLLARS, NAME_CHARS, Part
from agentd.runners.long_calls import long_calls_of, together
from common.wire.usage import LongCalls, Usage

MAX_MODELS = 40
"""Below what the wire takes in one result; later names are counted together."""

OTHER_MODELS = "other"


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
        self.input = min(self.input + other.input, MAX_COUNT)
        self.output = min(self.output + other.output, MAX_COUNT)
        self.cache_read = min(self.cache_read + other.cache_read, MAX_COUNT)
        self.cache_write = min(self.cache_write + other.cache_write, MAX_COUNT)
        self.cache_write_1h = min(self.cache_write_1h + other.cache_write_1h, MAX_COUNT)
        self.cost_usd = min(self.cost_usd + other.cost_usd, MAX_DOLLARS)
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
class Books:
    """`settled` counts results that gave an account; `unsettled`: some message never had one."""

    settled: int = 0
    unsettled: bool = False
    _sums: dict[str, Tokens] = field(default_factory=dict)
    _open: dict[str, Message] = field(default_factory=dict)
    _long: dict[str, list[LongCalls]] = field(default_factory=dict)
    _streaming: dict[str | None, str] = field(default_factory=dict)

    @property
    def usage(self) -> tuple[Usage, ...]:
        """Everything used so far, by model: settled results and messages still open."""
        totals: dict[str, Tokens] = {}
        for model, tokens in self._sums.items():
            totals.setdefault(model, Tokens()).add(tokens)
        for message in self._open.values():
            totals.setdefault(message.model, Tokens()).add(message.tokens)
        calls = self._calls()
        return tuple(
            tokens.as_usage(model, calls.get(model, ())) for model, tokens in sorted(totals.items())
        )

    @property
    def partial(self) -> bool:
        """Whether some message was never accounted for by a result."""
        return self.unsettled or bool(self._open)

    @property
    def cost_usd(self) -> float | None:
        """The CLI's own figure; None as soon as part of it is not known."""
        usage = self.usage
        if self.settled == 0 or any(item.cost_usd is None for item in usage):
            return None
        return min(sum((item.cost_usd or 0.0 for item in usage), 0.0), MAX_DOLLARS)

    def began(self, parent: str | None, message: Part) -> None:
        """A message's stream began: what follows for `parent` belongs to it."""
        message_id = message.text("id")
        self._streaming[parent] = message_id
        self.saw(message_id, message)

    def grew(self, parent: str | None, usage: Part) -> None:
        message = self._open.get(self._streaming.get(parent, ""))
        if message is not None:
            message.tokens.output = max(message.tokens.output, usage.count("output_tokens"))

    def saw(self, message_id: str, message: Part) -> None:
        """Count a message once; its output count here is only the opening one."""
        if message_id in self._open:
            return
        usage = message.part("usage")
        caching = usage.part("cache_creation") if "cache_creation" in usage else usage
        model = self._model(message.text("model")[:NAME_CHARS] or "unknown")
        self._open[message_id] = Message(
            model=model,
            tokens=Tokens(
                input=usage.count("input_tokens"),
                output=usage.count("output_tokens"),
                cache_read=usage.count("cache_read_input_tokens"),
                cache_write=usage.count("cache_creation_input_tokens"),
                cache_write_1h=caching.count("ephemeral_1h_input_tokens"),
                cost_known=False,
            ),
        )

    def settle(self, result: Part, model: str | None) -> None:
        """Take a result's account of what was used since the one before; `model` is the run's."""
        if not self._open and "model_usage_since_last_result" not in result:
            self.saw("", Part({**result.value, "model": model}, result.odd, result.where))
        self._long = self._calls()
        accounts = result.members("model_usage_since_last_result")
        given = result.value.get("model_usage_since_last_result")
        whole = isinstance(given, dict) and len(accounts) == len(given)
        seen = self._close_messages()
        for name, used in accounts:
            model = self._model(name)
            account = _account(used, seen.pop(model, Tokens()))
            self._sums.setdefault(model, Tokens()).add(account)
        if not whole:
            for model, tokens in seen.items():
                self._sums.setdefault(model, Tokens()).add(tokens)
                self.unsettled = True
        if whole or accounts:
            self.settled += 1

    def _close_messages(self) -> dict[str, Tokens]:
        """What the messages since the last result used, by model."""
        seen: dict[str, Tokens] = {}
        for message in self._open.values():
            seen.setdefault(message.model, Tokens()).add(message.tokens)
        self._open.clear()
        self._streaming.clear()
        return seen

    def _calls(self) -> dict[str, list[LongCalls]]:
        """The long calls seen so far, by model: results give sums only."""
        calls = {model: list(bands) for model, bands in self._long.items()}
        for message in self._open.values():
            if bands := message.long_calls:
                calls[message.model] = together([*calls.get(message.model, ()), *bands])
        return calls

    def _model(self, name: str) -> str:
        known = {*self._sums, *(message.model for message in self._open.values())}
        return name if name in known or len(known) < MAX_MODELS else OTHER_MODELS


def _account(used: Part, seen: Tokens) -> Tokens:
    """One model's account; what of it cannot be read is as its messages had it."""
    cost = used.dollars("costUSD")
    known = cost is not None and used.value.get("costBasis") != "unknown"
    return Tokens(
        input=used.count("inputTokens", seen.input),
        output=used.count("outputTokens", seen.output),
        cache_read=used.count("cacheReadInputTokens", seen.cache_read),
        cache_write=used.count("cacheCreationInputTokens", seen.cache_write),
        cache_write_1h=used.count("cacheCreationEphemeral1hInputTokens", seen.cache_write_1h),
        cost_usd=cost if known and cost is not None else 0.0,
        cost_known=known,
    )
