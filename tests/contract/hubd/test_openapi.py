"""The API's description is complete and true: what it does not say does not happen."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks

from common.wire.admin import Role
from hubd.access.roles import OPEN, ROLES
from tests.contract.hubd.harness import HubProcess, issue

load_all_checks()

LONG_POLLS = {"/v1/nodes/{name}/claim", "/v1/outbox/claim"}
NOT_ASKED = [
    schemathesis.checks.CHECKS.get_one("ignored_auth"),  # test_roles asks every route
    schemathesis.checks.CHECKS.get_one(
        "positive_data_acceptance"
    ),  # 422 is for what no schema says
]
STREAMS = ("/v1/events", "/v1/tasks/{task_id}/output")


@pytest.fixture(scope="module")
def tokens(shared_hub: HubProcess) -> dict[str, str]:
    names = {Role.NODE: "Rex"}
    found = {str(r): asyncio.run(issue(shared_hub.home, r, names.get(r))) for r in Role}
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
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=shared_hub.hub.url)
    for path in STREAMS:  # their bodies have no end; the stream tests read them
        schema = schema.exclude(path=path)
    return schema


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_is_answered_in_a_way_the_description_does_not_hold(
    case: schemathesis.Case, tokens: dict[str, str]
) -> None:
    roles = case.operation.definition.raw.get("x-roles", [])
    if "node" in roles and "name" in case.path_parameters:
        case.path_parameters["name"] = "Rex"
    for values in (case.body, case.query):
        if isinstance(values, dict) and (case.path in LONG_POLLS or "wait_s" in values):
            values["wait_s"] = 0
    headers = {"Authorization": f"Bearer {tokens[roles[0]]}"} if roles else {}
    response = case.call(headers=headers, timeout=10)
    case.validate_response(response, excluded_checks=NOT_ASKED)


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
                assert {"401", "403", "429"} <= statuses, (method, path)
            if method == "post":
                assert {"408", "413", "415", "507"} <= statuses, (method, path)
