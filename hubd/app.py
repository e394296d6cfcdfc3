"""The hub as a Quart app: the door, the routes, one shape for every error."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass

from msgspec import Struct
from quart import Quart, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from common.errors import MeshError
from common.wire.admin import ErrorBody
from hubd.access.guard import Guard
from hubd.access.limits import BODY_TIMEOUT_S, MAX_FILE_BYTES, MAX_JSON_BYTES
from hubd.access.roles import ROLES
from hubd.calls import OpenCalls
from hubd.connection import HubConnection, HubRequest
from hubd.errors import HubError
from hubd.ops.log_context import CURRENT, RequestScope
from hubd.ops.metrics import Metrics
from hubd.ops.openapi import describe
from hubd.ops.space import Space
from hubd.routes import (
    accounts,
    approvals,
    attempts,
    bridge,
    conversation,
    costs,
    events,
    files,
    invitations,
    nodes,
    operations,
    tasks,
    tokens,
)
from hubd.routes.api import Api, json_response
from hubd.services.wiring import Services

logger = logging.getLogger(__name__)

RESPONSE_TIMEOUT_S = 60

_QUIET = frozenset({"GET", "HEAD"})
_QUIET_ROWS = frozenset(
    {
        "POST /v1/nodes/<name>/heartbeat",
        "POST /v1/nodes/<name>/claim",
        "POST /v1/attempts/<fence>/output",
        "POST /v1/outbox/claim",
        "POST /v1/bridge/status",
    }
)
"""What programs send all the time: one line each would bury the rest."""


class Word(BaseConverter):
    """A name or id in a path; anything else is no such thing."""

    regex = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True, slots=True)
class Door:
    """What stands before the routes."""

    guard: Guard
    calls: OpenCalls
    metrics: Metrics
    space: Space


class RouteWithoutRoleError(Exception):
    """A route has no row in `hubd.access.roles`, or a row no route: nobody decided who may."""


def create_app(services: Services, door: Door) -> Quart:
    """Build the app; raises RouteWithoutRoleError when table and routes differ."""
    app = Quart("hubd", static_folder=None, template_folder=None)
    app.request_class = HubRequest
    app.asgi_http_class = HubConnection
    app.url_map.converters["word"] = Word
    app.url_map.strict_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_JSON_BYTES,
        BODY_TIMEOUT=BODY_TIMEOUT_S,
        RESPONSE_TIMEOUT=RESPONSE_TIMEOUT_S,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    api = Api(app, door.calls, door.space.refuse_if_low)
    add_routes(api, services, door)
    check_rows(api)
    for rule in app.url_map.iter_rules():
        rule.methods = {*(rule.methods or ())} - {"HEAD"}  # a stream has no end to skip to
    _add_door(app, door)
    _add_errors(app)
    return app


def add_routes(api: Api, services: Services, door: Door) -> None:
    """Register every route; what it will call is remembered and not yet called."""
    tasks.add(api, services.tasks)
    attempts.add(api, services.attempts)
    nodes.add(api, services.nodes, services.attempts)
    accounts.add(api, services.nodes)
    approvals.add(api, services.approvals)
    bridge.add(api, services.conversation, services.outbox, services.bridges)
    conversation.add(api, services.conversation)
    costs.add(api, services.money)
    events.add(api, services.control, services.feed, services.tasks, door.calls, door.space)
    files.add(api, services.files)
    tokens.add(api, services.tokens)
    invitations.add(api, services.invitations)
    operations.add(api, services.control, door.metrics, lambda: describe(api.endpoints))


def check_rows(api: Api) -> None:
    """Raise RouteWithoutRoleError unless every route has its row and every row its route."""
    if differing := ROLES.keys() ^ api.endpoints.keys():
        raise RouteWithoutRoleError(", ".join(sorted(differing)))


def _add_door(app: Quart, door: Door) -> None:
    @app.before_request
    async def admit() -> None:
        g.started_at = time.perf_counter()
        g.scope = RequestScope(secrets.token_hex(6))
        g.caller = None
        CURRENT.set(g.scope)
        rule = request.url_rule
        g.row = rule.endpoint if rule else None
        if rule and "task_id" in (request.view_args or {}):
            g.scope.task_id = (request.view_args or {})["task_id"]
        g.caller = await door.guard.admit(request, g.row)

    @app.after_request
    async def note(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.scope.request_id
        seconds = time.perf_counter() - g.started_at
        row = g.row or "unmatched"
        door.metrics.requests.labels(row, str(response.status_code)).inc()
        door.metrics.seconds.labels(row).observe(seconds)
        _log(row, response.status_code, seconds)
        return response


def _log(row: str, status: int, seconds: float) -> None:
    quiet = request.method in _QUIET or row in _QUIET_ROWS
    level = logging.INFO if status >= 500 or not quiet else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    caller = g.caller
    logger.log(
        level,
        "request served",
        extra={
            "route": row,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "role": str(caller.actor.role) if caller else None,
            "caller": caller.actor.name if caller else None,
            "token_id": caller.token_id if caller else None,
        },
    )


def _add_errors(app: Quart) -> None:
    @app.errorhandler(MeshError)
    async def refused(error: MeshError) -> Response:
        response = _error(error.code, error.message, error.status, getattr(error, "detail", {}))
        if isinstance(error, HubError):
            response.headers.update(error.headers)
        return response

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        code, message = _HTTP_MESSAGES.get(status, ("http", error.description or error.name))
        response = _error(code, message, status, {})
        for name, value in error.get_headers():
            if name.lower() in {"allow", "retry-after"}:
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        logger.error("request failed", exc_info=error, extra={"route": g.get("row")})
        message = "the hub failed to answer; its log says why, under this request_id"
        return _error("internal", message, 500, {})


_HTTP_MESSAGES = {
    400: ("bad_request", "the request cannot be read"),
    404: ("not_found", "there is nothing at this address; the addresses are in /openapi.json"),
    405: ("method_not_allowed", "this address does not take this method"),
    413: ("too_large", f"a body may have {MAX_JSON_BYTES} bytes, a file {MAX_FILE_BYTES}"),
}


def _error(code: str, message: str, status: int, detail: dict[str, str]) -> Response:
    body: Struct = ErrorBody(
        error=code, message=message, request_id=g.scope.request_id, detail=detail
    )
    return json_response(body, status)
