"""JSON schemas in words and Markdown tables, as a reader of the API reference meets them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

from hubd.routes.api import MAX_INT

Schema = Mapping[str, Any]

REQUIRED = "required"

_SIZES = {
    "string": ("minLength", "maxLength", " characters"),
    "time": ("minLength", "maxLength", " characters"),
    "binary": ("minLength", "maxLength", " bytes"),
    "list": ("minItems", "maxItems", " items"),
    "integer": ("minimum", "maximum", ""),
    "number": ("minimum", "maximum", ""),
}
_NAMES = {"array": "list", "date-time": "time", "binary": "binary"}
"""Of types and formats, where the schema's own word is not a reader's."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar in a cell is escaped, also between backticks."""
    lines = [_row(head), "|" + "---|" * len(head), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def section(name: str, schema: Schema) -> str:
    """A schema under its heading: what it is, and its words or fields."""
    parts = [f"### {name}", *paragraphs(schema)]
    if "enum" in schema:
        parts.append(f"One of {_words(schema)}.")
    if schema.get("additionalProperties") is False:
        parts.append("Any other field is refused.")
    if properties := schema.get("properties"):
        parts.append(_fields(properties, schema.get("required", ())))
    return "\n\n".join(parts)


def paragraphs(schema: Schema) -> list[str]:
    """The description, each paragraph on one line."""
    text = cleandoc(schema.get("description", ""))
    return [" ".join(part.split()) for part in text.split("\n\n") if part]


def _fields(properties: Mapping[str, Schema], required: Sequence[str]) -> str:
    """The meanings have a column where there are any."""
    described = any("description" in schema for schema in properties.values())

    def row(name: str, schema: Schema) -> list[str]:
        default = REQUIRED if name in required else default_of(schema)
        cells = [f"`{name}`", type_of(schema), default]
        return [*cells, " ".join(paragraphs(schema))] if described else cells

    head = ["field", "type", "default", *(["meaning"] if described else [])]
    return table(head, (row(name, schema) for name, schema in properties.items()))


def default_of(schema: Schema) -> str:
    if "default" not in schema:
        return "none"
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`"


def link_to(schema: Schema) -> str:
    name = name_of(schema)
    return f"[{name}](#{name.lower()})"


def name_of(schema: Schema) -> str:
    """The name a reference leads to."""
    return str(schema["$ref"]).rpartition("/")[2]


def type_of(schema: Schema) -> str:
    """`list of [Task](#task)`, `string (at most 200 characters) or null`."""
    if "$ref" in schema:
        return link_to(schema)
    if "anyOf" in schema:
        return " or ".join(type_of(kind) for kind in schema["anyOf"])
    if "enum" in schema:
        return f"one of {_words(schema)}"
    kind = _kind(schema)
    limits = [limit for limit in (_bounds(kind, schema), _pattern(schema)) if limit]
    limited = f"{kind} ({', '.join(limits)})" if limits else kind
    inner = schema.get("items", schema.get("additionalProperties"))
    return f"{limited} of {type_of(inner)}" if isinstance(inner, Mapping) else limited


def _kind(schema: Schema) -> str:
    own: str = schema.get("type", "any JSON")
    return _NAMES.get(schema.get("format", ""), _NAMES.get(own, own))


def _bounds(kind: str, schema: Schema) -> str:
    low_key, high_key, unit = _SIZES.get(kind, ("", "", ""))
    low, high = schema.get(low_key), schema.get(high_key)
    parts = [f"over {schema['exclusiveMinimum']}"] if "exclusiveMinimum" in schema else []
    if low is not None and high not in (None, MAX_INT):
        parts.append(f"{low} to {high}{unit}")
    elif low is not None:
        parts.append(f"at least {low}{unit}")
    elif high is not None:
        parts.append(f"at most {high}{unit}")
    return ", ".join(parts)


def _pattern(schema: Schema) -> str:
    return f"`{schema['pattern']}`" if "pattern" in schema else ""


def _words(schema: Schema) -> str:
    return ", ".join(f"`{word}`" for word in schema["enum"])
