"""The bench: specialists as Claude Code agent files, ours and the owner's.

A file is YAML frontmatter (`name` and `description` needed) and the brief as Markdown. A file of
the owner's with the name of one of ours replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agentd.errors import SpecialistError

BENCH = Path(__file__).parent / "bench"
FRONTMATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """One member of the bench. `tools` empty means all; `extra` is further frontmatter."""

    name: str
    description: str
    prompt: str
    tools: tuple[str, ...] = ()
    model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def parse_specialist(text: str, source: Path) -> Specialist:
    """Read one agent file; raises SpecialistError naming `source` and what is wrong with it."""
    match = FRONTMATTER.match(text.replace("\r\n", "\n"))
    if match is None:
        raise SpecialistError(f"{source} has no frontmatter; begin it with '---' and a name.")
    try:
        fields = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        raise SpecialistError(f"The frontmatter of {source} is not valid YAML: {error}") from error
    if not isinstance(fields, dict):
        raise SpecialistError(f"The frontmatter of {source} is not a table of keys.")
    name, description = fields.pop("name", None), fields.pop("description", None)
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise SpecialistError(f"{source} needs a 'name' of letters, digits, '.', '_' and '-'.")
    if not isinstance(description, str) or not description.strip():
        raise SpecialistError(f"{source} needs a 'description'.")
    return Specialist(
        name=name,
        description=description.strip(),
        prompt=match.group(2).strip(),
        tools=_tools(fields.pop("tools", None), source),
        model=fields.pop("model", None),
        extra=fields,
    )


def _tools(value: object, source: Path) -> tuple[str, ...]:
    match value:
        case None:
            return ()
        case str():
            return tuple(tool.strip() for tool in value.split(",") if tool.strip())
        case list() if all(isinstance(tool, str) for tool in value):
            return tuple(value)
        case _:
            raise SpecialistError(f"'tools' in {source} must be names separated by commas.")


def load_bench(
    own_folder: Path | None = None,
    bench: Path = BENCH,
    *,
    broken: dict[str, str] | None = None,
) -> dict[str, Specialist]:
    """All specialists by name; the owner's files replace ours of the same name. A file that cannot
    be used goes into `broken` under its own name, with what is wrong with it; raises
    SpecialistError without that."""
    members: dict[str, Specialist] = {}
    for folder in (bench, own_folder):
        if folder is None or not folder.is_dir():
            continue
        for path in sorted(folder.glob("*.md")):
            try:
                specialist = _read_specialist(path)
            except SpecialistError as error:
                if broken is None:
                    raise
                # Not silently ours: the owner meant to replace it.
                members.pop(path.stem, None)
                broken[path.stem] = error.message
                continue
            members[specialist.name] = specialist
    return members


def _read_specialist(path: Path) -> Specialist:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecialistError(f"{path} cannot be read: {error}") from error
    return parse_specialist(text, path)
