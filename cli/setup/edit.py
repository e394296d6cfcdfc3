"""Setting a few values in a `mesh.toml` that belongs to a person: every other line stays."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from cli.errors import SetUpError

Values = Mapping[str, Mapping[str, Any]]
"""By table and key."""


def set_values(text: str, values: Values) -> str:
    """The file's text with these values set, in their tables and in place where they were.

    Raises SetUpError, naming what to write by hand, when the result would not be exactly that.
    """
    edited = text
    for table, keys in values.items():
        for key, value in keys.items():
            edited = _set(edited, table, key, tomli_w.dumps({key: value}).rstrip("\n"))
    if _parsed(edited) != _merged(_parsed(text), values):
        wanted = "\n".join(f"[{table}]\n{tomli_w.dumps(dict(v))}" for table, v in values.items())
        raise SetUpError(f"mesh.toml could not be changed safely. Put into it by hand:\n{wanted}")
    return edited


def _set(text: str, table: str, key: str, line: str) -> str:
    lines = text.splitlines()
    heads = [n for n, found in enumerate(lines) if found.lstrip().startswith("[")]
    mine = [n for n in heads if re.fullmatch(rf"\s*\[\s*{table}\s*\]\s*(#.*)?", lines[n])]
    if not mine:
        return text + ("\n" if text and not text.endswith("\n") else "") + f"\n[{table}]\n{line}\n"
    start = mine[0] + 1
    stop = min((n for n in heads if n >= start), default=len(lines))
    for number in range(start, stop):
        if re.match(rf"\s*{key}\s*=", lines[number]):
            lines[number : _end(lines, number, stop)] = [line]
            break
    else:
        lines.insert(start, line)
    return "\n".join(lines) + "\n"


def _end(lines: list[str], first: int, stop: int) -> int:
    """Behind the last line of the value that begins on line `first`: it may be a list of several
    lines."""
    for end in range(first + 1, stop + 1):
        if _parsed("\n".join(lines[first:end])):
            return end
    return first + 1


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _merged(tables: dict[str, Any], values: Values) -> dict[str, Any]:
    return tables | {table: tables.get(table, {}) | dict(keys) for table, keys in values.items()}
