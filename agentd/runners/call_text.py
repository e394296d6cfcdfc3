"""A tool call as a person reads it: a plan as text, an edit as a diff, a command as a command.

Nothing is left out and equal texts mean equal calls, because a yes is bound to this text: keys
stand at the margin, what has several lines is indented below its key, line by line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

_PLAIN_KEY = re.compile(r"\w[\w.-]*")
"""Never begins as a line of a diff does; our own headings have blanks, which no plain key has."""

_CHANGE, _CONTENT = "the change:", "the whole file:"
_DIFFED = 400
"""Lines of an edit up to which its sides are compared; a longer one shows all old, then all new."""


def call_lines(tool: str, call: Mapping[str, Any]) -> Iterator[str]:
    """The whole call, what it is about first."""
    rest = dict(call)
    match tool:
        case "Edit" if _are_texts(rest, "old_string", "new_string"):
            yield from _taken(rest, "file_path")
            yield _CHANGE
            yield from _diff(rest.pop("old_string"), rest.pop("new_string"))
        case "MultiEdit" if _are_edits(rest.get("edits")):
            yield from _taken(rest, "file_path")
            for edit in rest.pop("edits"):
                others = dict(edit)
                yield _CHANGE
                yield from _diff(others.pop("old_string"), others.pop("new_string"))
                yield from _object(others, "and ")
        case "Write" if _are_texts(rest, "content"):
            yield from _taken(rest, "file_path")
            yield _CONTENT
            yield from (f"+{line}" for line in rest.pop("content").split("\n"))
        case _:
            yield from _taken(rest, "plan", "command", "url", "file_path", "notebook_path")
    yield from _object(rest, "")


def _taken(call: dict[str, Any], *keys: str) -> Iterator[str]:
    for key in keys:
        if key in call:
            yield from _field(key, call.pop(key), "")


def _are_texts(call: Mapping[str, Any], *keys: str) -> bool:
    return all(isinstance(call.get(key), str) for key in keys)


def _are_edits(edits: object) -> bool:
    if not isinstance(edits, list) or not edits:
        return False
    return all(
        isinstance(edit, dict) and _are_texts(edit, "old_string", "new_string") for edit in edits
    )


def _diff(old: str, new: str) -> Iterator[str]:
    before, after = old.split("\n"), new.split("\n")
    if len(before) + len(after) > _DIFFED:
        yield from (f"-{line}" for line in before)
        yield from (f"+{line}" for line in after)
        return
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (f" {line}" for line in before[i:j])
            continue
        yield from (f"-{line}" for line in before[i:j])
        yield from (f"+{line}" for line in after[k:m])


def _object(value: Mapping[str, Any], margin: str) -> Iterator[str]:
    for key in sorted(value):
        yield from _field(key, value[key], margin)


def _field(key: str, value: Any, margin: str) -> Iterator[str]:
    name = key if _PLAIN_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    inner = margin + "  "
    if isinstance(value, str) and "\n" in value:
        yield f"{margin}{name}:"
        yield from (inner + line for line in value.split("\n"))
    elif isinstance(value, str):
        yield f"{margin}{name}: {_scalar(value)}"
    elif isinstance(value, dict) and _has_lines(value):
        yield f"{margin}{name}, in parts:"
        yield from _object({str(part): inside for part, inside in value.items()}, inner)
    elif isinstance(value, list) and _has_lines(value):
        yield f"{margin}{name}, {len(value)} items:"
        for number, item in enumerate(value, 1):
            yield from _field(str(number), item, inner)
    else:
        yield f"{margin}{name}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}"


def _scalar(text: str) -> str:
    """As it is, unless it would read as something else than this text."""
    try:
        json.loads(text)
    except ValueError:
        if text == text.strip() and text[:1] not in ("[", "{", '"', ""):
            return text
    return json.dumps(text, ensure_ascii=False)


def _has_lines(value: Any) -> bool:
    match value:
        case str():
            return "\n" in value
        case dict():
            return any(_has_lines(inside) for inside in value.values())
        case list():
            return any(_has_lines(inside) for inside in value)
    return False
