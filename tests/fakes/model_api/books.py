"""What the model API served: one record per request, and totals per model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one message; `input_tokens` excludes the cached part, as in the real API."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Served:
    """One answered request. `usage` is what a client could have been billed for."""

    model: str
    scenario: str
    step: int
    status: int
    usage: Usage
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Books:
    """Everything served since the last reset, and the last request bodies for inspection."""

    served: list[Served] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def note_request(self, body: dict[str, Any]) -> None:
        self.requests.append(body)
        del self.requests[:-50]

    def totals(self) -> dict[str, Usage]:
        """Billable tokens per model over all successful (200) messages."""
        totals: dict[str, Usage] = {}
        for item in self.served:
            if item.status == 200:
                totals[item.model] = totals.get(item.model, Usage()) + item.usage
        return totals

    def reset(self) -> None:
        self.served.clear()
        self.requests.clear()
