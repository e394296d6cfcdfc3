"""What a person means by an answer to a question with choices: numbers and names mean theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BETWEEN = re.compile(r"\s*(?:[,;&+/]|\band\b|\bund\b)\s*", re.IGNORECASE)
_NUMBERS = re.compile(r"#?\d{1,3}[.):]?(?:\s+#?\d{1,3}[.):]?)*")
_NUMBER = re.compile(r"#?(\d{1,3})[.):]?")


class NoSuchChoiceError(ValueError):
    """A number that none of the choices has."""


def picked(choices: Sequence[str], said: str) -> str:
    """The choices that are meant, joined as Claude Code joins several (`lint, e2e`); what names
    none is the answer itself. Raises NoSuchChoiceError for a number out of range."""
    if not choices or (whole := _named(choices, said.strip())) is not None:
        return said if not choices else str(whole)
    parts = [part for part in _BETWEEN.split(said.strip().rstrip(".")) if part]
    if len(parts) == 1 and _NUMBERS.fullmatch(parts[0]):
        parts = parts[0].split()
    found = [_one(choices, part) for part in parts]
    if parts and all(_NUMBER.fullmatch(part) for part in parts) and None in found:
        raise NoSuchChoiceError(said)
    meant = [choice for choice in found if choice is not None]
    if not meant or len(meant) < len(found):
        return said
    return ", ".join(dict.fromkeys(sorted(meant, key=list(choices).index)))


def _one(choices: Sequence[str], part: str) -> str | None:
    if (named := _named(choices, part)) is not None:
        return named
    number = _NUMBER.fullmatch(part)
    if number is not None:
        at = int(number[1])
        return choices[at - 1] if 1 <= at <= len(choices) else None
    alike = [choice for choice in choices if choice.lower().startswith(part.lower())]
    return alike[0] if len(alike) == 1 else None


def _named(choices: Sequence[str], part: str) -> str | None:
    return next((choice for choice in choices if choice.lower() == part.lower()), None)
