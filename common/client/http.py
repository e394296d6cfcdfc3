"""One connection pool to the hub: typed bodies in and out, errors as sentences."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from common.client.credentials import Credentials
from common.errors import ConfigError, MeshError
from common.filenames import disposed_name
from common.version import PROTOCOL
from common.wire.admin import ErrorBody

T = TypeVar("T")

# Below the hub's keep-alive time-out of 75 s, so that the hub never closes a connection on
# which a request is just being sent.
KEEPALIVE_EXPIRY_S = 60.0

BUSY_CODE = b'"database_busy"'
BUSY_TRIES = 3
BUSY_PAUSE_S = 1.0


class HubError(MeshError):
    """The hub answered with an error; `hub_code` and `hub_status` are its own."""

    code = "hub_error"

    def __init__(self, message: str, *, hub_code: str, hub_status: int) -> None:
        super().__init__(message)
        self.hub_code = hub_code
        self.hub_status = hub_status


class HubUnreachableError(MeshError):
    """Nothing answered at the hub's address, or the connection broke."""

    code = "hub_unreachable"


@dataclass(frozen=True, slots=True)
class Download:
    """Fetched bytes and what they are called, when the hub says so."""

    content: bytes
    name: str | None = None


class HubClient:
    """Sends requests with the token; `async with` closes its connections.

    Only idempotent calls are sent a second time when a kept connection turns out to be dead:
    GET, and whatever carries an idempotency key or `repeatable=True`.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout_s: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = credentials.url
        self._http = httpx.AsyncClient(
            base_url=credentials.url,
            headers={
                "Authorization": f"Bearer {credentials.token.reveal()}",
                "Mesh-Proto": str(PROTOCOL),
            },
            timeout=httpx.Timeout(timeout_s, connect=5.0),
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_EXPIRY_S),
            verify=tls_context(credentials) or False,
            transport=transport,
            trust_env=False,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def raw(self) -> httpx.AsyncClient:
        """The underlying client, for streams."""
        return self._http

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: object | None = None,
        params: Mapping[str, str | int | float | None] | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        repeatable: bool = False,
    ) -> T:
        """Send one request and decode its answer.

        Raises HubError for an error status and HubUnreachableError when there was no answer.
        """
        request = self._http.build_request(
            method,
            path,
            content=None if body is None else msgspec.json.encode(body),
            params=_present(params),
            headers=_headers(body, idempotency_key),
            timeout=httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
        )
        may_repeat = repeatable or method == "GET" or idempotency_key is not None
        return self._decoded(await self._answered(request, may_repeat=may_repeat), answer)

    async def upload(
        self,
        path: str,
        answer: type[T],
        *,
        content: bytes,
        media_type: str,
        params: Mapping[str, str | int | float | None] | None = None,
        timeout_s: float = 60.0,
    ) -> T:
        """Send bytes as they are and decode the answer; errors as with `call`."""
        request = self._http.build_request(
            "POST",
            path,
            content=content,
            params=_present(params),
            headers={"Content-Type": media_type},
            timeout=timeout_s,
        )
        return self._decoded(await self._send(request, may_repeat=False), answer)

    async def download(self, path: str, *, timeout_s: float = 60.0) -> Download:
        """Fetch bytes as they are; errors as with `call`."""
        request = self._http.build_request("GET", path, timeout=timeout_s)
        response = await self._send(request, may_repeat=True)
        raise_for_error(response)
        name = disposed_name(response.headers.get("content-disposition", ""))
        return Download(response.content, name)

    def _decoded(self, response: httpx.Response, answer: type[T]) -> T:
        raise_for_error(response)
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.DecodeError as error:
            raise HubError(
                f"the hub at {self.url} gave an answer this version does not understand ({error}); "
                "is it the same version? Run: mesh version",
                hub_code="bad_answer",
                hub_status=response.status_code,
            ) from error

    async def _answered(self, request: httpx.Request, *, may_repeat: bool) -> httpx.Response:
        """The answer; while another program holds the hub's database, after a few more tries. The
        hub did nothing then, so that also what may not be repeated otherwise is."""
        response = await self._send(request, may_repeat=may_repeat)
        for _ in range(BUSY_TRIES):
            if not _is_busy(response):
                break
            await asyncio.sleep(BUSY_PAUSE_S)
            response = await self._send(request, may_repeat=may_repeat)
        return response

    async def _send(self, request: httpx.Request, *, may_repeat: bool) -> httpx.Response:
        try:
            return await self._http.send(request)
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            if not may_repeat:
                raise self.unreachable(error) from error
        except (httpx.TransportError, ssl.SSLError) as error:
            raise self.unreachable(error) from error
        try:
            return await self._http.send(request)
        except (httpx.TransportError, ssl.SSLError) as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> HubUnreachableError:
        """The sentence for a failed connection."""
        cause = str(error) or type(error).__name__
        return HubUnreachableError(
            f"no answer from the hub at {self.url} ({cause}). Is it running? Try: mesh status"
        )


def _is_busy(response: httpx.Response) -> bool:
    return response.status_code == 503 and BUSY_CODE in response.content


def raise_for_error(response: httpx.Response) -> None:
    """Raise HubError with the hub's own sentence for any status but 2xx."""
    if response.is_success:
        return
    try:
        body = msgspec.json.decode(response.content, type=ErrorBody)
    except msgspec.DecodeError:
        body = ErrorBody(
            error="not_a_hub",
            message=f"{response.url} answered {response.status_code}, but not as a hub does. "
            "Check MESH_HUB_URL or hub.url",
        )
    raise HubError(body.message, hub_code=body.error, hub_status=response.status_code)


def tls_context(credentials: Credentials) -> ssl.SSLContext | None:
    """How the hub's certificate is checked; None for http, where there is none.

    Raises ConfigError when the pinned certificate cannot be read.
    """
    if not credentials.url.startswith("https://"):
        return None  # loading the certificate store costs 30 ms and 10 MB
    if credentials.ca_file is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=str(credentials.ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"the hub's certificate {credentials.ca_file} cannot be used "
            f"({error.strerror or error}). Join again: mesh join"
        ) from error
    context.check_hostname = False  # exactly this certificate is trusted, under whatever name
    # It may be signed by somebody who is not trusted here, and need not be fit to sign others.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _headers(body: object | None, idempotency_key: str | None) -> dict[str, str]:
    headers = {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return headers


def _present(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {key: value for key, value in params.items() if value is not None} if params else None
