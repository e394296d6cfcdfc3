"""One request's way through Quart, with less around it.

Quart runs each request as two tasks, and on Python 3.11 a third one to send the answer, so that
every handler can be cancelled when its caller leaves. Only calls that stay open need that; the
others read their body, are handled and answered in the task they came in. What was begun is then
also finished, whether its caller still listens or not.
"""

from __future__ import annotations

import asyncio
import re

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Request, Response
from quart.asgi import ASGIHTTPConnection
from quart.utils import encode_headers
from quart.wrappers.request import Body
from quart.wrappers.response import DataBody

from hubd.access.errors import BodyTimeoutError
from hubd.access.limits import (
    BODY_TIMEOUT_S,
    FILE_TIMEOUT_S,
    MAX_FILE_BYTES,
    MAX_JSON_BYTES,
)

SEND_TIMEOUT_S = 60.0

_STAYS_OPEN = re.compile(r"/claim$|^/v1/events$|^/v1/approvals/.|^/v1/tasks/[^/]+/output$")


class HubBody(Body):
    """A body that can be given up."""

    def fail(self, error: Exception) -> None:
        """Raise `error` for whoever reads it."""
        self._must_raise = error
        self.set_complete()

    @property
    def complete(self) -> bool:
        return self._complete.is_set()


FILES = "/v1/files"


class HubRequest(Request):
    """Takes larger bodies where files are handed in, and only there."""

    body_class = HubBody
    body: HubBody

    def __init__(self, method: str, scheme: str, path: str, *args: object, **more: object) -> None:
        more["max_content_length"] = MAX_FILE_BYTES if path == FILES else MAX_JSON_BYTES
        super().__init__(method, scheme, path, *args, **more)  # type: ignore[arg-type]


class HubConnection(ASGIHTTPConnection):
    """Handles a request in its own task unless it may stay open."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if _STAYS_OPEN.search(self.scope["path"]):
            await super().__call__(receive, send)
            return
        request = self._create_request_from_scope(send)
        if await _read_body(request, receive):
            await self.handle_request(request, send)

    async def handle_request(self, request: Request, send: ASGISendCallable) -> None:
        response = await self.app.handle_request(request)
        if isinstance(response, Response) and isinstance(response.response, DataBody):
            await _send_whole(response, response.response.data, send)
        else:
            await self._send_response(send, response)


async def _read_body(request: Request, receive: ASGIReceiveCallable) -> bool:
    """Receive the body; False when the caller left. A late one raises where it is read."""
    assert isinstance(request.body, HubBody)
    limit_s = FILE_TIMEOUT_S if request.path == FILES else BODY_TIMEOUT_S
    try:
        async with asyncio.timeout(limit_s):
            while not request.body.complete:
                message = await receive()
                if message["type"] != "http.request":
                    return False
                request.body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
    except TimeoutError:
        late = BodyTimeoutError(f"the body did not arrive within {limit_s} s")
        request.body.fail(late)
    return True


async def _send_whole(response: Response, data: bytes, send: ASGISendCallable) -> None:
    """Send an answer that is there as a whole, in the two messages it takes."""
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": encode_headers(response.headers),
            }
        )
        await send({"type": "http.response.body", "body": data, "more_body": False})
