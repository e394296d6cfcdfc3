"""The API page is what the hub's own OpenAPI document says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from common.wire.admin import Role
from hubd.ops.reference import anchor, openapi, reference

PAGE = Path(__file__).parents[3] / "docs" / "API.md"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi()


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return reference(document)


def _headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", page, re.MULTILINE)


def _part(page: str, heading: str) -> str:
    """What stands under a heading of the third rank."""
    return re.split(r"^##", page.split(f"### {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_page_is_generated_from_the_document_as_it_stands(page: str) -> None:
    command = "python -m hubd.ops.reference > docs/API.md"
    assert PAGE.read_text() == page, f"out of date: {command}"


def test_every_call_is_on_the_page_with_who_may_and_what_it_takes(
    document: dict[str, Any], page: str
) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            part = _part(page, f"{method.upper()} {path}")
            (who,) = re.findall(r"^- Who: (.+)$", part, re.MULTILINE)
            assert re.findall(r"`(\w+)`", who) == operation.get("x-roles", [])
            for parameter in operation["parameters"]:
                if "$ref" not in parameter:
                    assert f"| `{parameter['name']}` | {parameter['in']} |" in part
            assert ("- Body: " in part) == ("requestBody" in operation)
            assert "- Answer: 20" in part


def test_what_many_calls_share_is_told_in_the_introduction(
    document: dict[str, Any], page: str
) -> None:
    introduction = page.split("\n## Calls\n")[0]
    shared = document["components"]
    assert all(f"`{p['name']}: " in introduction for p in shared["parameters"].values())
    names = {
        name
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for name in answer["headers"]
    }
    assert names == {"X-Request-Id", "Retry-After"}
    assert all(f"`{name}`" in introduction for name in names)


def test_every_error_of_a_call_is_in_the_table_of_errors_or_named_with_it(
    document: dict[str, Any], page: str
) -> None:
    shared = set(re.findall(r"^\| (\d+) \| `(\w+)` .*\| every call", page, re.MULTILINE))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            own = set(re.findall(r"(\d+) `(\w+)`", _part(page, f"{method.upper()} {path}")))
            for status, answer in operation["responses"].items():
                words = re.findall(r"`(\w+)`", answer["description"]) if status >= "400" else []
                assert {(status, word) for word in words} <= shared | own, (method, path)


def test_every_schema_and_each_of_its_fields_is_on_the_page(
    document: dict[str, Any], page: str
) -> None:
    for name, schema in document["components"]["schemas"].items():
        part = _part(page, name)
        for word in schema.get("enum", ()):
            assert f"`{word}`" in part, name
        for field in schema.get("properties", ()):
            assert f"| `{field}` |" in part, name


def test_every_link_leads_to_one_heading(page: str) -> None:
    anchors = [anchor(heading) for heading in _headings(page)]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors)


def test_no_cell_is_empty_and_every_role_is_told(page: str) -> None:
    empty = [line for line in page.splitlines() if re.search(r"\|\s*\|", line)]
    assert empty == []
    assert all(f"\n| `{role}` | " in page for role in Role)


def test_the_page_has_the_meaning_of_a_field_when_the_document_has_one() -> None:
    document = openapi()
    document["components"]["schemas"]["Health"]["properties"]["status"]["description"] = "A | B."
    assert '| `status` | string | `"ok"` | A \\| B. |' in reference(document)
