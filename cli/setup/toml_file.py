"""Writing a `mesh.toml` that explains itself: each value below its description."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import tomli_w
from msgspec import Meta

from common.config import Config

HEAD = """\
# The configuration of this machine's part of the mesh.
# `mesh config show` prints every key with its value; `mesh config check` checks this file.
"""


def render(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text; raises KeyError for a table or key that the schema does not know."""
    types = {field.name: field.type for field in msgspec.structs.fields(Config)}
    return "\n".join([HEAD, *(_table(name, types[name], keys) for name, keys in tables.items())])


def _table(name: str, struct: type[msgspec.Struct], values: Mapping[str, Any]) -> str:
    hints = get_type_hints(struct, include_extras=True)
    lines = [f"[{name}]"]
    for key, value in values.items():
        lines += [f"# {line}" for line in textwrap.wrap(_description(hints[key]), 97)]
        lines.append(tomli_w.dumps({key: value}).rstrip("\n"))
    return "\n".join(lines) + "\n"


def _description(hint: Any) -> str:
    return " ".join(_descriptions(hint))


def _descriptions(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        yield from _descriptions(inner)
        for extra in extras:
            if isinstance(extra, Meta) and extra.description:
                yield extra.description
