"""What the OpenAPI document says, and that it says it to a reader of the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from common.wire import admin, approvals, events, messages, nodes, tasks
from hubd.ops.reference import openapi

WIRE = (admin, approvals, events, messages, nodes, tasks)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


def _words(operation: dict[str, Any], status: str) -> set[str]:
    answer = operation["responses"].get(status, {"description": ""})
    return set(re.findall(r"`(\w+)`", answer["description"]))


def _descriptions(part: Any) -> Iterator[str]:
    """Every text for people, wherever it stands."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("description", "summary") and isinstance(value, str):
                yield value
            else:
                yield from _descriptions(value)
    elif isinstance(part, list):
        for value in part:
            yield from _descriptions(value)


def test_every_struct_and_every_answer_is_told_in_words_of_its_own(
    document: dict[str, Any],
) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert "enum" in schema or schema.get("description"), name
    told = list(_descriptions(document))
    assert not [text for text in told if "base class" in text.lower()]


def test_no_text_speaks_of_the_program_behind_the_api(document: dict[str, Any]) -> None:
    inside = re.compile(r"\b(None|True|False)\b|\bhubd\.|\b[A-Z]\w+Error\b")
    assert [text for text in _descriptions(document) if inside.search(text)] == []


def test_conflicts_are_told_where_they_happen_and_nowhere_else(document: dict[str, Any]) -> None:
    found = {
        row for row, operation in _operations(document) if "conflict" in _words(operation, "409")
    }
    assert found == {
        "POST /v1/tasks",
        "POST /v1/tasks/{task_id}/cancel",
        "POST /v1/tasks/{task_id}/retry",
        "POST /v1/tasks/{task_id}/revoke",
        "POST /v1/nodes/{name}/heartbeat",
        "POST /v1/nodes/{name}/claim",
        "POST /v1/attempts/{fence}/output",
        "POST /v1/attempts/{fence}/release",
        "POST /v1/attempts/{fence}/result",
        "POST /v1/approvals/{code}",
        "POST /v1/outbox/{item_id}",
        "POST /v1/join",
    }


def test_a_mismatch_is_told_where_a_key_is_taken(document: dict[str, Any]) -> None:
    for row, operation in _operations(document):
        names = {parameter.get("name") for parameter in operation["parameters"]}
        mismatch = "idempotency_mismatch" in _words(operation, "422")
        assert mismatch == ("Idempotency-Key" in names), row


def test_a_query_keeps_its_defaults(document: dict[str, Any]) -> None:
    by, *_ = document["paths"]["/v1/costs"]["get"]["parameters"]
    assert (by["name"], by["schema"]["default"]) == ("by", "day")


def test_every_moment_is_described_as_one(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for module in WIRE:
        for kind in vars(module).values():
            if not (isinstance(kind, type) and issubclass(kind, Struct)):
                continue
            for field in msgspec.structs.fields(kind):
                if "datetime" in str(field.type) and kind.__name__ in schemas:
                    described = schemas[kind.__name__]["properties"][field.encode_name]
                    kinds = described.get("anyOf", [described])
                    assert {"type": "string", "format": "date-time"} in kinds, (kind, field.name)


def test_a_moment_crosses_the_wire_as_before() -> None:
    pulse = events.Pulse(node="Rex", at=datetime.fromisoformat("2026-01-31T10:00:00+00:00"))
    raw = b'{"node":"Rex","at":"2026-01-31T10:00:00Z"}'
    assert msgspec.json.encode(pulse) == raw
    assert msgspec.json.decode(raw, type=events.Pulse) == pulse


def test_files_are_bytes_of_any_media_type(document: dict[str, Any]) -> None:
    paths = document["paths"]
    put, get = paths["/v1/files"]["post"], paths["/v1/files/{file_id}"]["get"]
    ((media_type, sent),) = put["requestBody"]["content"].items()
    assert (media_type, sent["schema"]["format"]) == ("*/*", "binary")
    assert "415" not in put["responses"]
    ((_, got),) = get["responses"]["200"]["content"].items()
    assert got["schema"] == {"type": "string", "format": "binary"}


def test_every_call_and_answer_names_the_headers_that_all_have(document: dict[str, Any]) -> None:
    for row, operation in _operations(document):
        assert {"$ref": "#/components/parameters/MeshProto"} in operation["parameters"], row
        for status, answer in operation["responses"].items():
            later = {"Retry-After"} if status in {"429", "503"} else set()
            assert answer["headers"].keys() == {"X-Request-Id"} | later, (row, status)
            for header in answer["headers"].values():
                kind, _, name = header["$ref"].removeprefix("#/components/").partition("/")
                assert name in document["components"][kind]
