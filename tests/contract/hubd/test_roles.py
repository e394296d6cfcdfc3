"""Every route under every kind of token, from the table the hub itself uses."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import httpx
import pytest
from quart import Quart

from common.wire.admin import Role
from hubd.access.roles import BOUND, OPEN, ROLES
from hubd.app import RouteWithoutRoleError, check_rows
from hubd.calls import OpenCalls
from hubd.routes.api import Api
from tests.contract.hubd.harness import HubProcess, issue_all

PATH_VALUES = {
    "task_id": "999999",
    "fence": "999999",
    "item_id": "999999",
    "name": "Rex",
    "code": "ZZ9",
    "file_id": "nosuch",
    "token_id": "nosuch",
}


@dataclass(frozen=True)
class Doors:
    """A hub and one good token per role, the node's for Rex."""

    url: str
    tokens: dict[Role, str]


@pytest.fixture(scope="module")
def doors(shared_hub: HubProcess) -> Doors:
    tokens = asyncio.run(issue_all(shared_hub.home))
    doors = Doors(shared_hub.hub.url, tokens)
    for token in tokens.values():  # proven once, they stay usable while bad ones lock us out
        assert _ask(doors, "GET /openapi.json", token).status_code == 200
    return doors


def _ask(doors: Doors, row: str, token: str | None, path: str | None = None) -> httpx.Response:
    method, _, rule = row.partition(" ")
    path = path or re.sub(r"<(\w+)>", lambda match: PATH_VALUES[match[1]], rule)
    headers = {"Authorization": f"Bearer {token}".strip()} if token is not None else {}
    with (
        httpx.Client(base_url=doors.url, trust_env=False) as client,
        client.stream(method, path, headers=headers) as response,
    ):
        if "event-stream" not in response.headers.get("content-type", ""):
            response.read()
        return response


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("row", sorted(ROLES))
def test_a_role_reaches_a_route_if_and_only_if_the_table_says_so(
    doors: Doors, row: str, role: Role
) -> None:
    response = _ask(doors, row, doors.tokens[role])
    if ROLES[row] is OPEN or role in ROLES[row]:
        assert response.status_code not in {401, 403, 429, 500}
    else:
        assert response.status_code == 403
        assert response.json()["error"] == "forbidden"


@pytest.mark.parametrize("row", sorted(ROLES))
def test_without_a_good_token_only_an_open_route_answers(doors: Doors, row: str) -> None:
    good = doors.tokens[Role.OPERATOR]
    for bad in (None, "", "mesh", good[:-1], good[:-5] + "AAAAA", "mesh_operator_zzzz_" + "A" * 43):
        response = _ask(doors, row, bad)
        expected = {200} if ROLES[row] is OPEN else {401, 429}
        assert response.status_code in expected, bad


def test_two_routes_are_open_and_neither_tells_anything_of_the_mesh() -> None:
    opened = [row for row, roles in ROLES.items() if roles is OPEN]
    assert opened == ["GET /healthz", "GET /v1/invitations/<token_id>"]


@pytest.mark.parametrize("row", sorted(BOUND))
def test_a_node_may_not_speak_for_another_node(doors: Doors, row: str) -> None:
    path = row.partition(" ")[2].replace("<name>", "Archon")
    response = _ask(doors, row, doors.tokens[Role.NODE], path)
    assert response.status_code == 403
    assert "bound to the node Rex" in response.json()["message"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/admin", "/v1/tasks/x", "/docs"])
def test_an_address_that_does_not_exist_asks_for_a_token_first(doors: Doors, path: str) -> None:
    assert _ask(doors, "GET ", None, path).status_code == 401
    found = _ask(doors, "GET ", doors.tokens[Role.OPERATOR], path)
    assert (found.status_code, found.json()["error"]) == (404, "not_found")


def test_a_route_without_a_row_stops_the_hub_from_being_built() -> None:
    api = Api(Quart("test"), OpenCalls())
    with pytest.raises(RouteWithoutRoleError, match="GET /healthz"):
        check_rows(api)
