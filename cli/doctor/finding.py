"""What a check says: one line with a mark, a fact, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, but not as well as it should, or not for long."""
    FAIL = "fail"
    SKIP = "skip"
    """Nothing to look at here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` is a command to paste wherever there is one; `node`: whose it is in a fleet."""

    id: str
    mark: Mark
    fact: str
    remedy: str = ""
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding whose check's id is not known to it."""

    mark: Mark
    fact: str
    remedy: str = ""


def ok(fact: str) -> Verdict:
    return Verdict(Mark.OK, fact)


def warn(fact: str, remedy: str = "") -> Verdict:
    return Verdict(Mark.WARN, fact, remedy)


def fail(fact: str, remedy: str) -> Verdict:
    return Verdict(Mark.FAIL, fact, remedy)


def skip(fact: str) -> Verdict:
    return Verdict(Mark.SKIP, fact)
