"""The configuration reference, generated from the schema: `python -m common.config.reference`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from common.config.schema import Config, ProjectConfig

_HEAD = """# Configuration

One file, `mesh.toml`, in `$XDG_CONFIG_HOME/mesh` (`~/.config/mesh`), or in `$MESH_HOME` when that
is set. It must be readable by its owner only (mode 600). `MESH_<TABLE>__<KEY>` in the environment
overrides a value: `MESH_AGENT__SLOTS=3`; the value is TOML, a bare word is a string. An unknown
key is an error that names the nearest one. `mesh config show --origin` prints every value and
where it is from; `mesh config check` only checks.

This page is generated from the program's own schema.
"""


def reference() -> str:
    """The whole page, Markdown."""
    sections = [_HEAD]
    for table in msgspec.structs.fields(Config):
        sections.append(f"## [{table.name}]\n\n" + "\n".join(_rows(table.type)) + "\n")
    sections.append(
        "## [agent.projects.NAME]\n\n" + "\n".join(_rows(ProjectConfig)) + "\n",
    )
    return "\n".join(sections)


def _rows(struct: type[msgspec.Struct]) -> Iterator[str]:
    yield "| key | default | what it is |"
    yield "|---|---|---|"
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        description = _description(hints[field.name])
        yield f"| `{field.name}` | {_default(field)} | {description} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        value: Any = field.default
    elif field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    else:
        return "required"
    text = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
    return f"`{text}`"


def _description(hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    inner, *metas = get_args(hint)
    own = " ".join(
        meta.description for meta in metas if isinstance(meta, Meta) and meta.description
    )
    words = [f"`{word}`" for word in _words(inner)]
    choices = f" One of {', '.join(words)}." if words else ""
    return f"{own}{choices}" if own else _description(inner)


def _words(hint: Any) -> tuple[str, ...]:
    """The words of a Literal, also of an optional one."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(word for part in get_args(hint) for word in _words(part))
    return ()


if __name__ == "__main__":
    sys.stdout.write(reference())
