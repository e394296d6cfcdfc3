"""Choosing events by kind and words: `task breaker Rex`, `kind:node`, `bad`."""

from __future__ import annotations

from tui.state.cells import Role
from tui.state.tail import Line

HINT = "kind:task  kind:node  bad  #42  words"
_SEVERE = {"bad": {Role.BAD}, "warn": {Role.BAD, Role.WARN}}


def passes(line: Line, text: str) -> bool:
    """Every word must fit: `kind:…`, `bad`, `warn`, or a part of what the line says."""
    return all(_fits(line, word) for word in text.lower().split())


def _fits(line: Line, word: str) -> bool:
    if word in _SEVERE:
        return line.role in _SEVERE[word]
    field, colon, value = word.partition(":")
    if colon and field in {"kind", "type"}:
        return (line.kind if field == "kind" else line.type).startswith(value)
    return word in f"{line.subject} {line.text} {line.type}".lower()
