"""JSON that another program wrote, read field by field: whatever its shape, reading never fails.

What is missing, null or of another type than expected reads as absent, and what was odd is noted
once per kind. A note names our own expectation and never holds what the program wrote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from common.clock import to_datetime

MAX_KINDS = 20
NAME_CHARS = 200
MAX_COUNT = 10**12
"""What the wire takes as a number of tokens; a bigger one is no number of tokens."""

MAX_DOLLARS = 1_000_000.0
EARLIEST_S, LATEST_S = 1_577_836_800.0, 4_102_444_800.0
"""2020 to 2100: a moment outside was not meant as one."""

_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
"""Below how much a number counts seconds, milliseconds, microseconds, nanoseconds."""


@dataclass(slots=True)
class Oddities:
    """The kinds of odd things met in one run, in the order they were met."""

    _known: set[str] = field(default_factory=set)
    _untold: list[str] = field(default_factory=list)

    def note(self, kind: str) -> None:
        if kind not in self._known and len(self._known) < MAX_KINDS:
            self._known.add(kind)
            self._untold.append(kind)

    def untold(self) -> list[str]:
        """Those nobody was told of yet; each is returned once."""
        told, self._untold = self._untold, []
        return told


@dataclass(frozen=True, slots=True)
class Part:
    """One JSON object of a foreign line; `where` is its path in our words."""

    value: Mapping[str, Any]
    odd: Oddities
    where: str

    def __contains__(self, key: str) -> bool:
        return self.value.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        value = self.value.get(key)
        if isinstance(value, str):
            return value
        self._unless_null(key, value, "text")
        return default

    def name(self, key: str) -> str | None:
        """A short text such as an id; None where there is none, or one absurdly long."""
        value = self.text(key)
        if len(value) > NAME_CHARS:
            self._odd(key, "too long")
            return None
        return value or None

    def count(self, key: str, default: int = 0) -> int:
        """A number of things, not negative."""
        value = self.value.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
            return value
        self._unless_null(key, value, "a count")
        return default

    def number(self, key: str) -> float | None:
        value = self.value.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            finite = _finite(value)
            if finite is not None:
                return finite
        self._unless_null(key, value, "a number")
        return None

    def dollars(self, key: str) -> float | None:
        value = self.number(key)
        if value is not None and not 0 <= value <= MAX_DOLLARS:
            self._odd(key, "no amount of money")
            return None
        return value

    def flag(self, key: str) -> bool:
        value = self.value.get(key)
        if isinstance(value, bool):
            return value
        self._unless_null(key, value, "true or false")
        return False

    def moment(self, key: str) -> datetime | None:
        value = self.value.get(key)
        moment = moment_of(value)
        if moment is None:
            self._unless_null(key, value, "a time")
        return moment

    def part(self, key: str) -> Part:
        """The object under `key`; an empty one where there is none."""
        value = self.value.get(key)
        where = f"{self.where}.{key}"
        if isinstance(value, dict):
            return Part(value, self.odd, where)
        if key in self.value:
            self._odd(key, "not an object")
        return Part({}, self.odd, where)

    def parts(self, key: str) -> list[Part]:
        """The objects of the list under `key`; what else is in it is left out."""
        return [
            Part(item, self.odd, f"{self.where}.{key}[]")
            for item in self._list(key)
            if self._is(key, item, dict)
        ]

    def texts(self, key: str) -> list[str]:
        return [item for item in self._list(key) if self._is(key, item, str)]

    def members(self, key: str) -> list[tuple[str, Part]]:
        """The objects of an object used as a table, with their names."""
        table = self.part(key)
        where = f"{table.where}.*"
        return [
            (name[:NAME_CHARS], Part(item, self.odd, where))
            for name, item in table.value.items()
            if table._is("*", item, dict)
        ]

    def _list(self, key: str) -> list[Any]:
        value = self.value.get(key)
        if isinstance(value, list):
            return value
        if key in self.value:
            self._odd(key, "not a list")
        return []

    def _is(self, key: str, item: object, kind: type) -> bool:
        if isinstance(item, kind):
            return True
        self._odd(key, "holds something else than expected")
        return False

    def _unless_null(self, key: str, value: object, expected: str) -> None:
        """Null is how JSON says that there is nothing: no oddity where one value is expected."""
        if value is not None:
            self._odd(key, f"not {expected}")

    def _odd(self, key: str, what: str) -> None:
        self.odd.note(f"{self.where}.{key} is {what}")


def moment_of(value: object) -> datetime | None:
    """A time written as epoch seconds, milli-, micro- or nanoseconds, as a number or a text, or as
    ISO 8601 (without a zone: UTC); None for all else and for a year that cannot be meant."""
    if isinstance(value, str):
        return _moment_in_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = _finite(value)
    if number is None:
        return None
    for below, unit in _UNITS:
        if abs(number) < below:
            return _plausible(number / unit)
    return None


def _moment_in_text(text: str) -> datetime | None:
    try:
        return moment_of(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return _plausible(moment.timestamp())
    except (ValueError, OverflowError):
        return None


def _plausible(epoch_s: float) -> datetime | None:
    return to_datetime(epoch_s) if EARLIEST_S <= epoch_s < LATEST_S else None


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
