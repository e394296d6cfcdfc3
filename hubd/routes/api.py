"""What a route is: its address, what it reads and answers, and how it becomes a Quart view.

The record of a route makes its view and its entry in the OpenAPI file, so the two cannot differ;
bodies are decoded strictly, straight from bytes into the wire struct.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from quart import Quart, Request, Response, g, request
from werkzeug.datastructures import Headers

from common.errors import MeshError
from common.wire.admin import Role
from hubd.access.errors import BadRequestError, BodyTimeoutError, MediaTypeError
from hubd.access.limits import BODY_TIMEOUT_S, MAX_KEY_CHARS
from hubd.calls import OpenCalls
from hubd.domain.actors import Actor, Verified
from hubd.errors import InvalidError
from hubd.sse import Outlet

B = TypeVar("B", bound=Struct)
Q = TypeVar("Q", bound=Struct)
P = ParamSpec("P")
V = TypeVar("V")

MAX_INT = 2**63 - 1
_CONVERTERS = {"task_id": f"int(min=1,max={MAX_INT})"}
_CONVERTERS |= dict.fromkeys(("fence", "item_id"), _CONVERTERS["task_id"])


class Nothing(Struct, frozen=True):
    """No body, or one that says nothing; no query."""


class Kind(StrEnum):
    """What a route's answer is."""

    JSON = "application/json"
    STREAM = "text/event-stream"
    TEXT = "text/plain"
    BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """One admitted request, parsed."""

    actor: Actor
    token_id: str
    body: B
    query: Q
    headers: Headers

    @property
    def idempotency_key(self) -> str | None:
        """Raises InvalidError for one that is too long to be kept."""
        key = self.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
            raise InvalidError(f"Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters")
        return key


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer with a status of its own."""

    record: Struct
    status: int


Answer = Struct | Answered | AsyncGenerator[bytes] | Response
Handler = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route as it is registered and described."""

    method: str
    path: str
    handler: Handler
    body: type[Struct] = Nothing
    query: type[Struct] = Nothing
    answers: Mapping[int, type[Struct] | None] = field(default_factory=dict)
    errors: tuple[type[MeshError], ...] = ()
    kind: Kind = Kind.JSON
    waits: bool = False
    keyed: bool = False
    raw_body: bool = False
    new_work: bool = False
    may_be_bare: bool = False

    @property
    def row(self) -> str:
        """The key of its row in `hubd.access.roles`."""
        return f"{self.method} {self.path}"

    @property
    def rule(self) -> str:
        """The path with its converters."""
        return re.sub(
            r"<(\w+)>", lambda match: f"<{_CONVERTERS.get(match[1], 'word')}:{match[1]}>", self.path
        )

    @property
    def writes(self) -> bool:
        return self.method != "GET"


class Api:
    """Registers endpoints on a Quart app."""

    def __init__(
        self, app: Quart, calls: OpenCalls, refuse_new_work: Callable[[], None] = lambda: None
    ) -> None:
        self._app = app
        self._calls = calls
        self._refuse_new_work = refuse_new_work
        self.endpoints: dict[str, Endpoint] = {}

    def route(
        self,
        row: str,
        *,
        body: type[B] = Nothing,  # type: ignore[assignment]
        query: type[Q] = Nothing,  # type: ignore[assignment]
        answers: Mapping[int, type[Struct] | None],
        errors: tuple[type[MeshError], ...] = (),
        kind: Kind = Kind.JSON,
        waits: bool = False,
        keyed: bool = False,
        raw_body: bool = False,
        new_work: bool = False,
        may_be_bare: bool = False,
    ) -> Callable[
        [Callable[Concatenate[Call[B, Q], P], Awaitable[Answer]]],
        Callable[Concatenate[Call[B, Q], P], Awaitable[Answer]],
    ]:
        """`row` is method and path, as in `hubd.access.roles`. `waits`: a long poll, ended with
        its token or the hub. `keyed`: takes an Idempotency-Key. `raw_body`: reads it itself.
        `new_work`: refused while the disk is nearly full. `may_be_bare`: no body means the
        defaults of one."""

        def register(
            handler: Callable[Concatenate[Call[B, Q], P], Awaitable[Answer]],
        ) -> Callable[Concatenate[Call[B, Q], P], Awaitable[Answer]]:
            method, _, path = row.partition(" ")
            self.add(
                Endpoint(
                    method,
                    path,
                    handler,
                    body,
                    query,
                    answers,
                    errors,
                    kind,
                    waits,
                    keyed,
                    raw_body,
                    new_work,
                    may_be_bare,
                )
            )
            return handler

        return register

    def add(self, endpoint: Endpoint) -> None:
        """Make the endpoint's view."""
        decode = _decoder(endpoint)
        status = next(iter(endpoint.answers))

        async def view(**path: Any) -> Response:
            caller: Verified | None = g.caller
            call = await _parse(endpoint, decode, caller)
            if endpoint.new_work:
                self._refuse_new_work()
            if endpoint.kind is Kind.STREAM:
                self._calls.refuse_stream(call.token_id)
            if endpoint.waits:
                async with self._calls.wait(call.token_id):
                    answer = await endpoint.handler(call, **path)
            else:
                answer = await endpoint.handler(call, **path)
            return self._respond(answer, status, call.token_id)

        self.endpoints[endpoint.row] = endpoint
        self._app.add_url_rule(
            endpoint.rule,
            endpoint=endpoint.row,
            view_func=view,
            methods=[endpoint.method],
            provide_automatic_options=False,
        )

    def _respond(self, answer: Answer, status: int, token_id: str) -> Response:
        if isinstance(answer, Struct):
            return json_response(answer, status)
        if isinstance(answer, Answered):
            return json_response(answer.record, answer.status)
        if isinstance(answer, Response):
            return answer
        response = Response(
            Outlet(answer).chunks(self._calls, token_id),
            content_type="text/event-stream; charset=utf-8",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        response.timeout = None  # Quart would cut the stream after a minute
        return response


def json_response(record: Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(record), status, content_type="application/json")


def _decoder(endpoint: Endpoint) -> Callable[[bytes], Struct] | None:
    if endpoint.body is Nothing:
        return None
    return msgspec.json.Decoder(endpoint.body).decode


async def _parse(
    endpoint: Endpoint, decode: Callable[[bytes], Struct] | None, caller: Verified | None
) -> Call[Any, Any]:
    body: Struct = Nothing()
    if endpoint.writes and not endpoint.raw_body:
        raw = await _read_json(request)
        if decode is not None:
            bare = endpoint.may_be_bare and not raw
            body = endpoint.body() if bare else _decode(decode, raw)
    query = _query(endpoint.query) if endpoint.query is not Nothing else Nothing()
    return Call(
        actor=caller.actor if caller else _NOBODY,
        token_id=caller.token_id if caller else "",
        body=body,
        query=query,
        headers=request.headers,
    )


_NOBODY = Actor(Role.VIEWER, "nobody")
"""The actor on an open route."""


async def read_body(incoming: Request) -> bytes:
    """The whole body; raises BodyTimeoutError when it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw: bytes = await incoming.body
    except TimeoutError:
        raise BodyTimeoutError(f"the body did not arrive within {BODY_TIMEOUT_S} s") from None
    return raw


async def _read_json(incoming: Request) -> bytes:
    raw = await read_body(incoming)
    media_type = (incoming.mimetype or "").lower()
    if (raw or media_type) and media_type != "application/json":
        raise MediaTypeError("send JSON, with Content-Type: application/json")
    return raw


def _decode(decode: Callable[[bytes], Struct], raw: bytes) -> Struct:
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidError(_sentence(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequestError("the body is not valid JSON") from None


def _query(kind: type[Struct]) -> Struct:
    args = request.args
    repeated = [key for key in args if len(args.getlist(key)) > 1]
    if repeated:
        raise InvalidError(f"{repeated[0]} is given twice in the URL")
    try:
        return msgspec.convert(args.to_dict(), kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidError(_sentence(str(error))) from None


def given(value: V | UnsetType) -> V | None:
    """A query's value, or None when it was not given.

    Queries use UNSET, not None: from text msgspec would also take the word `null` for None.
    """
    return None if value is UNSET else value


def _sentence(text: str) -> str:
    """msgspec's `Expected `int`, got `str` - at `$.slots`` as field first."""
    what, _, path = text.partition(" - at `$.")
    return f"{path.rstrip('`')}: {what}" if path else what
