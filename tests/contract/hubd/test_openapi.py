"""The API's description is complete and true: what it does not say does not happen."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks

from hubd.access.roles import OPEN, ROLES
from tests.contract.hubd.harness import HubProcess, issue_all

load_all_checks()

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
TASKS = range(1, 10**6)
PROTO = {"$ref": "#/components/parameters/MeshProto"}
"""What every call takes; test_door asks with protocols the hub does not speak."""
LONG_POLLS = {"/v1/nodes/{name}/claim", "/v1/outbox/claim"}
NOT_ASKED = [
    schemathesis.checks.CHECKS.get_one("ignored_auth"),  # test_roles asks every route
    schemathesis.checks.CHECKS.get_one(
        "positive_data_acceptance"
    ),  # 422 is for what no schema says
]

ANY_4XX_BUT_413 = schemathesis.checks.CHECKS.get_one("negative_data_rejection")


@pytest.fixture(scope="module")
def tokens(shared_hub: HubProcess) -> dict[str, str]:
    found = {str(r): token for r, token in asyncio.run(issue_all(shared_hub.home)).items()}
    headers = {"Authorization": f"Bearer {found['node']}"}
    url = f"{shared_hub.hub.url}/v1/nodes/Rex/register"
    assert httpx.post(url, json={"slots": 2}, headers=headers, trust_env=False).status_code == 200
    return found


@pytest.fixture(scope="module")
def document(shared_hub: HubProcess, tokens: dict[str, str]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {tokens['viewer']}"}
    url = f"{shared_hub.hub.url}/openapi.json"
    found: dict[str, Any] = httpx.get(url, headers=headers, trust_env=False).json()
    return found


@pytest.fixture(scope="module")
def api(document: dict[str, Any], shared_hub: HubProcess) -> Iterator[Any]:
    asked = copy.deepcopy(document)
    for operations in asked["paths"].values():
        for operation in operations.values():  # a 426 would hide what the rest is answered with
            operation["parameters"].remove(PROTO)
    schema = schemathesis.openapi.from_dict(asked)
    schema.config.update(base_url=shared_hub.hub.url)
    return schema


schema = schemathesis.pytest.from_fixture("api")


@pytest.mark.thorough
@pytest.mark.timeout(900)  # one item for all operations
@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_is_answered_in_a_way_the_description_does_not_hold(
    case: schemathesis.Case, tokens: dict[str, str]
) -> None:
    roles = case.operation.definition.raw.get("x-roles", [])
    if "node" in roles and NAME.match(str(case.path_parameters.get("name", ""))):
        case.path_parameters["name"] = "Rex"
    _shorten(case)
    headers = {"Authorization": f"Bearer {tokens[roles[0] if roles else 'operator']}"}
    response = case.call(headers=headers, timeout=10)
    too_large = response.status_code == 413  # said of a body before it is looked into
    case.validate_response(
        response, excluded_checks=[*NOT_ASKED, *([ANY_4XX_BUT_413] if too_large else [])]
    )


def _shorten(case: schemathesis.Case) -> None:
    """Long polls that would be valid must not wait, and streams must have an end."""
    for values in (case.body, case.query):
        if not isinstance(values, dict):
            continue
        wait_s = values.get("wait_s", 25 if case.path in LONG_POLLS else None)
        if isinstance(wait_s, int | float) and not isinstance(wait_s, bool) and 0 <= wait_s <= 60:
            values["wait_s"] = 0
    if case.path == "/v1/events":
        case.headers["Last-Event-ID"] = "0-0"
    if case.path == "/v1/tasks/{task_id}/output" and case.path_parameters.get("task_id") in TASKS:
        case.path_parameters["task_id"] = 10**12


def test_every_route_is_described_with_its_roles(document: dict[str, Any]) -> None:
    described = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            rule = re.sub(r"{(\w+)}", r"<\1>", path)
            described[f"{method.upper()} {rule}"] = operation.get("x-roles")
    assert described == {
        row: None if roles is OPEN else sorted(roles) for row, roles in ROLES.items()
    }


def test_every_reference_in_the_description_leads_somewhere(document: dict[str, Any]) -> None:
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert wanted <= document["components"]["schemas"].keys()
    assert {"Task", "Event", "OutputLine", "ErrorBody", "Approval"} <= wanted | set(
        document["components"]["schemas"]
    )


def test_every_operation_documents_the_refusals_at_the_door(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = operation["responses"].keys()
            assert {"400", "421", "426", "431", "500"} <= statuses, (method, path)
            if "security" in operation:
                assert {"401", "403", "429", "503"} <= statuses, (method, path)
            if method == "post":
                assert {"408", "413", "507"} <= statuses, (method, path)
                takes_any = "*/*" in operation.get("requestBody", {}).get("content", ())
                assert ("415" in statuses) != takes_any, (method, path)
                assert takes_any == (path == "/v1/files"), (method, path)
