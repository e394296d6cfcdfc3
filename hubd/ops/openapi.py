"""The API's description (OpenAPI 3.1), made from the same records as the routes themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import cleandoc, getdoc
from typing import Any

from msgspec import Raw, Struct, defstruct
from msgspec.json import schema_components
from msgspec.structs import fields

from common.errors import MeshError
from common.version import PROTOCOL, VERSION
from common.wire.admin import ErrorBody
from common.wire.events import Event, Pulse
from common.wire.nodes import OutputLine
from hubd.access import errors as access
from hubd.access.limits import MAX_FILE_BYTES, MAX_JSON_BYTES, MAX_KEY_CHARS
from hubd.access.roles import OPEN, ROLES
from hubd.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseUnreachableError,
    InvalidError,
    NotFoundError,
    RetryLaterError,
    StoppingError,
    StorageFullError,
)
from hubd.routes.api import MAX_INT, Endpoint, Kind, Nothing

_REF = "#/components/schemas/{name}"
_BYTES: dict[str, Any] = {"type": "string", "format": "binary"}
_PROTO = {"$ref": "#/components/parameters/MeshProto"}
_REQUEST_ID = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_RETRY_AFTER = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
_SHARED: Mapping[str, Any] = {
    "parameters": {
        "MeshProto": {
            "name": "Mesh-Proto",
            "in": "header",
            "description": "The protocol the caller speaks; one the hub does not is a 426.",
            "schema": {"type": "string", "enum": [str(PROTOCOL), str(PROTOCOL - 1)]},
        }
    },
    "headers": {
        "RequestId": {
            "description": "Names the request in the hub's log.",
            "required": True,
            "schema": {"type": "string"},
        },
        "RetryAfter": {
            "description": "How long to wait before the request is repeated, in seconds.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        },
    },
    "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
}
"""What many operations refer to."""

_EVENT: type[Struct] = defstruct(
    "Event",
    [(f.name, Any if f.type is Raw else f.type) for f in fields(Event)],
    namespace={"__doc__": Event.__doc__},
    kw_only=True,
)
"""`Event` with its record, which passes as it was encoded, described as any JSON."""

_STREAMED: Mapping[str, tuple[type[Struct], ...]] = {
    "GET /v1/events": (_EVENT, Pulse),
    "GET /v1/tasks/<task_id>/output": (OutputLine,),
}

_AT_THE_DOOR: tuple[type[MeshError], ...] = (
    access.BadRequestError,
    access.TokenInUrlError,
    access.ForeignOriginError,
    access.ForeignHostError,
    access.UpgradeRequiredError,
)
_WITH_TOKEN: tuple[type[MeshError], ...] = (
    access.UnauthorizedError,
    access.NotAllowedError,
    access.LockedOutError,
    access.RateLimitedError,
    StoppingError,
    DatabaseBusyError,
    DatabaseUnreachableError,
    DatabaseDamagedError,
)
_WITH_BODY: tuple[type[MeshError], ...] = (
    access.TooLargeError,
    access.BodyTimeoutError,
)


def describe(endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints.values():
        path = re.sub(r"<(\w+)>", r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mesh hub",
            "version": VERSION,
            "summary": "The single source of truth of a personal mesh of AI agents.",
            "description": (
                "An address that is not in this document is a 404 `not_found`, and a method that "
                "an address does not take a 405 `method_not_allowed`; without a good token both "
                "are a 401 `unauthorized`."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": _schemas(endpoints), **_SHARED},
    }


def _structs(endpoints: Mapping[str, Endpoint]) -> list[type[Struct]]:
    found: dict[type[Struct], None] = {ErrorBody: None}
    for endpoint in endpoints.values():
        answers = [kind for kind in endpoint.answers.values() if kind is not None]
        for kind in (endpoint.body, *answers, *_STREAMED.get(endpoint.row, ())):
            if kind is not Nothing:
                found[kind] = None
    return list(found)


def _schemas(endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
    _, components = schema_components(_structs(endpoints), ref_template=_REF)
    return dict(components)


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    summary, _, description = (getdoc(endpoint.handler) or "").partition("\n\n")
    roles = ROLES[endpoint.row]
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": " ".join(summary.split()),
        "tags": [endpoint.path.strip("/").split("/")[1 if "/v1/" in endpoint.path else 0]],
        "parameters": [*_path_parameters(endpoint), *_query(endpoint), *_headers(endpoint), _PROTO],
        "responses": _responses(endpoint),
    }
    if description:
        operation["description"] = description
    if roles is not OPEN:
        operation["security"] = [{"token": []}]
        operation["x-roles"] = sorted(roles)
    if body := _body(endpoint):
        operation["requestBody"] = body
    return operation


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    word = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
    number = {"type": "integer", "minimum": 1, "maximum": MAX_INT}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": number if name in {"task_id", "fence", "item_id"} else word,
        }
        for name in re.findall(r"<(\w+)>", endpoint.path)
    ]


def _query(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is Nothing:
        return []
    (schema,), components = schema_components([endpoint.query], ref_template="{name}")
    properties = components[schema["$ref"]]["properties"]
    return [
        {"name": name, "in": "query", "schema": _inline(property_, components)}
        for name, property_ in properties.items()
    ]


def _inline(schema: dict[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    """Query types are named nowhere else, so they are written out, each with its own default."""
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**components[schema["$ref"]], **beside} if "$ref" in schema else beside


def _headers(endpoint: Endpoint) -> list[dict[str, Any]]:
    headers = []
    if endpoint.keyed:
        key = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS}
        headers.append({"name": "Idempotency-Key", "in": "header", "schema": key})
    if endpoint.kind is Kind.STREAM:
        headers.append({"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}})
    return headers


def _body(endpoint: Endpoint) -> dict[str, Any] | None:
    if endpoint.raw_body:
        schema = {**_BYTES, "maxLength": MAX_FILE_BYTES}
        return {"required": True, "content": {"*/*": {"schema": schema}}}
    if endpoint.body is Nothing:
        return None
    return {
        "required": not endpoint.may_be_bare,
        "description": f"At most {MAX_JSON_BYTES} bytes.",
        "content": {"application/json": {"schema": _ref(endpoint.body)}},
    }


def _ref(kind: type[Struct]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in endpoint.answers.items():
        schema = _answer_schema(endpoint, kind)
        doc = _first_line(kind) if kind else "As described."
        content = {endpoint.kind.value: {"schema": schema}}
        responses[str(status)] = {"description": doc, "headers": _REQUEST_ID, "content": content}
    for status, errors in sorted(_errors(endpoint).items()):
        words = sorted({error.code for error in errors})
        later = all(issubclass(error, RetryLaterError) for error in errors)
        responses[str(status)] = {
            "description": ", ".join(f"`{word}`" for word in words),
            "headers": _REQUEST_ID | _RETRY_AFTER if later else _REQUEST_ID,
            "content": {"application/json": {"schema": _ref(ErrorBody)}},
        }
    return responses


def _answer_schema(endpoint: Endpoint, kind: type[Struct] | None) -> dict[str, Any]:
    if kind is not None:
        return _ref(kind)
    if endpoint.kind is Kind.STREAM:
        return _message_schema(_STREAMED[endpoint.row])
    if endpoint.kind is Kind.BYTES:
        return _BYTES
    return {"type": "object" if endpoint.kind is Kind.JSON else "string"}


def _message_schema(kinds: tuple[type[Struct], ...]) -> dict[str, Any]:
    """One message of a stream."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [*map(_ref, kinds), {"type": "object"}]},
    }
    names = {"type": "string", "enum": ["message", "pulse", "reset", "end"]}
    return {
        "type": "object",
        "properties": {"id": {"type": "string"}, "event": names, "data": data},
    }


def _first_line(kind: type) -> str:
    """Of its own docstring: `getdoc` would fall back to that of `Struct`."""
    return cleandoc(kind.__doc__ or kind.__name__).split("\n\n")[0].replace("\n", " ")


def _errors(endpoint: Endpoint) -> dict[int, list[type[MeshError]]]:
    kinds: list[type[MeshError]] = [*_AT_THE_DOOR, *endpoint.errors, access.InternalError]
    kinds.append(access.HeadersTooLargeError)
    if ROLES[endpoint.row] is not OPEN:
        kinds += _WITH_TOKEN
    if "<" in endpoint.path:
        kinds.append(NotFoundError)
    if endpoint.query is not Nothing or endpoint.body is not Nothing:
        kinds.append(InvalidError)
    if endpoint.writes:
        kinds += [*_WITH_BODY, StorageFullError]
        if not endpoint.raw_body:
            kinds.append(access.MediaTypeError)
    by_status: dict[int, list[type[MeshError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return by_status
