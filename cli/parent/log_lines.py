"""A line of a daemon's log, as JSON or whatever else was printed there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_HEAD = ("at", "level", "program", "logger", "event", "traceback")


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at` is ISO-8601 or empty; `extra` is what the event carries besides its words."""

    at: str
    level: str
    event: str
    extra: dict[str, Any] = field(default_factory=dict)
    traceback: str = ""

    @classmethod
    def parse(cls, text: str) -> LogLine:
        try:
            record = json.loads(text)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except ValueError:
            return cls(at="", level="", event=text.rstrip())
        return cls(
            at=str(record.get("at", "")),
            level=str(record.get("level", "")),
            event=str(record.get("event", "")),
            extra={key: value for key, value in record.items() if key not in _HEAD},
            traceback=str(record.get("traceback", "")),
        )

    @property
    def complaint(self) -> str:
        """The sentence in it: an error's own text rather than the event's name."""
        for key in ("error", "remedy"):
            if key in self.extra:
                return str(self.extra[key])
        last = self.traceback.strip().splitlines()
        return last[-1] if last else self.event
