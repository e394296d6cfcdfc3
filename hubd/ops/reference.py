"""The API reference, made from the OpenAPI document: `python -m hubd.ops.reference`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hubd.access.roles import BOUND
from hubd.app import add_routes, check_rows
from hubd.ops.openapi import describe
from hubd.ops.reference_prose import ASKING, ERROR_WORDS, ERRORS, PARAMETERS, ROLES, TERMS
from hubd.ops.schema_words import (
    REQUIRED,
    Schema,
    default_of,
    link_to,
    name_of,
    paragraphs,
    section,
    table,
    type_of,
)
from hubd.routes.api import Api, Endpoint

Document = Mapping[str, Any]


class Refusal(NamedTuple):
    """An error answer: its status and its word."""

    status: str
    word: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, as the document describes it."""

    method: str
    path: str
    entry: Document

    @property
    def title(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def tag(self) -> str:
        return str(self.entry["tags"][0])

    @property
    def parameters(self) -> list[Document]:
        """Its own: the introduction tells of those that every call takes."""
        return [parameter for parameter in self.entry["parameters"] if "$ref" not in parameter]

    @property
    def takes_file(self) -> bool:
        return "*/*" in self.entry.get("requestBody", {}).get("content", ())

    @property
    def refusals(self) -> frozenset[Refusal]:
        return frozenset(
            Refusal(status, word)  # the document names the words in the description
            for status, answer in self.entry["responses"].items()
            if status >= "400"
            for word in re.findall(r"`(\w+)`", answer["description"])
        )


class Group(NamedTuple):
    """Calls, and what each of them may be refused with, which need not be said every time."""

    name: str
    holds: Callable[[Operation], bool]
    refusals: frozenset[Refusal]


_GROUPS: Mapping[str, Callable[[Operation], bool]] = {
    "every call": lambda op: True,
    "every call with a token": lambda op: "security" in op.entry,
    "every call but GET": lambda op: op.method != "GET",
    "every call but GET and `POST /v1/files`": lambda op: op.method != "GET" and not op.takes_file,
}


@dataclass(frozen=True, slots=True)
class Shared:
    """The groups, each with what no earlier one has."""

    groups: tuple[Group, ...]

    @classmethod
    def of(cls, operations: list[Operation]) -> Shared:
        groups: list[Group] = []
        for name, holds in _GROUPS.items():
            common = frozenset.intersection(*(op.refusals for op in operations if holds(op)))
            groups.append(Group(name, holds, common.difference(*(g.refusals for g in groups))))
        return cls(tuple(groups))

    def own(self, operation: Operation) -> frozenset[Refusal]:
        """What is left to say of one call."""
        said = (group.refusals for group in self.groups if group.holds(operation))
        return operation.refusals.difference(*said)

    def where(self, refusal: Refusal) -> str:
        names = (group.name for group in self.groups if refusal in group.refusals)
        return next(names, "calls that name it")


class _Unbuilt:
    """Stands for any part of a hub: to be described, a route needs nothing it will call."""

    def __getattr__(self, name: str) -> _Unbuilt:
        return self


class _Listing(Api):
    """Takes routes in and serves none."""

    def __init__(self) -> None:
        self.endpoints = {}

    def add(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.row] = endpoint


def openapi() -> dict[str, Any]:
    """The document as a running hub serves it."""
    listing = _Listing()
    unbuilt: Any = _Unbuilt()
    add_routes(listing, unbuilt, unbuilt)
    check_rows(listing)
    return describe(listing.endpoints)


def reference(document: Document) -> str:
    """The whole page, Markdown."""
    operations = [
        Operation(method.upper(), path, entry)
        for path, entries in document["paths"].items()
        for method, entry in entries.items()
    ]
    shared = Shared.of(operations)
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    parts = [*_introduction(operations, shared), "## Calls", _overview(operations)]
    for tag in dict.fromkeys(op.tag for op in operations):
        group = [op for op in operations if op.tag == tag]
        parts.append(f"## {_shared_path(group)}")
        parts += [_operation(op, shared, schemas) for op in group]
    parts.append("## Schemas")
    parts += [section(name, schemas[name]) for name in sorted(schemas)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _introduction(operations: list[Operation], shared: Shared) -> Iterator[str]:
    yield ASKING
    yield table(["role", "may"], ([f"`{role}`", may] for role, may in ROLES.items()))
    yield TERMS
    yield ERRORS
    refusals = sorted(frozenset.union(*(op.refusals for op in operations)))
    rows = (
        [status, f"`{word}`", ERROR_WORDS[word], shared.where(Refusal(status, word))]
        for status, word in refusals
    )
    yield table(["status", "word", "meaning", "may come with"], rows)


def _overview(operations: list[Operation]) -> str:
    rows = (
        [f"[{op.title}](#{anchor(op.title)})", _callers(op), op.entry["summary"]]
        for op in operations
    )
    return table(["call", "who", "what it does"], rows)


def anchor(heading: str) -> str:
    """What a heading is linked by where Markdown is shown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _shared_path(group: list[Operation]) -> str:
    """`/v1/tasks`: the part of the path that the tag is."""
    path, tag = group[0].path, group[0].tag
    return path[: path.index(tag) + len(tag)]


def _callers(operation: Operation) -> str:
    roles = operation.entry.get("x-roles")
    if roles is None:
        return "*no token*"
    row = re.sub(r"{(\w+)}", r"<\1>", operation.title)
    return ", ".join(f"`{role}`" for role in roles) + (" of that name" if row in BOUND else "")


def _operation(operation: Operation, shared: Shared, schemas: Mapping[str, Schema]) -> str:
    entry = operation.entry
    parts = [f"### {operation.title}", entry["summary"], *paragraphs(entry)]
    if operation.parameters:
        rows = (_parameter(operation.tag, parameter) for parameter in operation.parameters)
        parts.append(table(["parameter", "in", "type", "default", "meaning"], rows))
    lines = [f"- Who: {_callers(operation)}"]
    if "requestBody" in entry:
        lines.append(f"- Body: {_content(entry['requestBody']['content'])}")
    lines += _answers(entry["responses"], schemas)
    if own := sorted(shared.own(operation)):
        lines.append("- Errors: " + ", ".join(f"{status} `{word}`" for status, word in own))
    return "\n\n".join([*parts, "\n".join(lines)])


def _parameter(tag: str, parameter: Document) -> list[str]:
    name, schema = parameter["name"], parameter["schema"]
    known = PARAMETERS.get(f"{tag}.{name}") or PARAMETERS.get(name, "")
    return [
        f"`{name}`",
        parameter["in"],
        type_of(schema),
        REQUIRED if parameter.get("required") else default_of(schema),
        parameter.get("description", known),
    ]


def _answers(responses: Document, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """One line for each kind of success, whatever statuses it has."""
    kinds: dict[str, list[str]] = {}
    for status, response in responses.items():
        if status < "400":
            kinds.setdefault(_answer(response["content"], schemas), []).append(status)
    for answer, statuses in kinds.items():
        yield f"- Answer: {' or '.join(statuses)}, {answer}"


def _answer(content: Document, schemas: Mapping[str, Schema]) -> str:
    schema = next(iter(content.values()))["schema"]
    if "$ref" not in schema:
        return _content(content)
    meaning = paragraphs(schemas[name_of(schema)])[:1]
    return ": ".join([link_to(schema), *meaning])


def _content(content: Document) -> str:
    """A schema's link, or the media type and what is known of it."""
    ((media_type, holder),) = content.items()
    schema = holder["schema"]
    if "$ref" in schema:
        return link_to(schema)
    if media_type == "text/event-stream":
        messages = schema["properties"]["data"]["contentSchema"]["anyOf"]
        return f"`{media_type}` of " + ", ".join(link_to(m) for m in messages if "$ref" in m)
    return f"`{media_type}`, {type_of(schema)}"


if __name__ == "__main__":
    sys.stdout.write(reference(openapi()))
