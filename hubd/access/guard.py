"""The door: every request passes it before routing decides anything."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl

from quart import Request

from common.logs import TOKEN_PATTERN
from common.version import PROTOCOL
from hubd.access.errors import (
    BadRequestError,
    HeadersTooLargeError,
    NotAllowedError,
    TokenInUrlError,
    UnauthorizedError,
    UpgradeRequiredError,
)
from hubd.access.hosts import HostRules
from hubd.access.limits import MAX_HEADER_BYTES, MAX_URL_BYTES, RateLimit
from hubd.access.lockout import Lockout, canonical_address
from hubd.access.roles import BOUND, OPEN, ROLES
from hubd.domain.actors import Verified
from hubd.errors import DatabaseBusyError, StorageFullError
from hubd.services.control import Control
from hubd.services.tokens import Tokens

logger = logging.getLogger(__name__)

_TOKEN_KEYS = frozenset({"token", "access_token", "api_key", "authorization"})


@dataclass(frozen=True, slots=True)
class Guard:
    """`admit` raises one of `hubd.access.errors`, or says who calls (None on an open route)."""

    tokens: Tokens
    hosts: HostRules
    lockout: Lockout
    rate: RateLimit
    control: Control

    async def admit(self, request: Request, row: str | None) -> Verified | None:
        """`row` is the route's key in `ROLES`; None when no route matches."""
        self._check_shape(request)
        if _holds_token(request.query_string):
            await self._record("access.token_in_url", address_of(request))
            raise TokenInUrlError(
                "a token never belongs in a URL, where logs keep it: send it as "
                "Authorization: Bearer …, and revoke the one just sent (mesh token revoke)"
            )
        roles = ROLES[row] if row is not None else None
        if roles is OPEN:
            return None
        caller = await self._authenticate(request)
        self.rate.take(caller.token_id)
        if roles is not None and caller.actor.role not in roles:
            raise NotAllowedError(
                f"a {caller.actor.role} token may not do this; it takes "
                + " or ".join(sorted(roles))
            )
        if row in BOUND:
            _check_name(caller, str((request.view_args or {}).get("name")))
        return caller

    def _check_shape(self, request: Request) -> None:
        server = request.scope.get("server") or ("", None)
        self.hosts.check_host(request.headers.get("Host"), str(server[0]))
        self.hosts.check_origin(request.headers.get("Origin"))
        if sum(len(name) + len(value) for name, value in request.scope["headers"]) > (
            MAX_HEADER_BYTES
        ):
            raise HeadersTooLargeError(f"the headers have more than {MAX_HEADER_BYTES} bytes")
        query = request.query_string
        if len(request.path) + len(query) > MAX_URL_BYTES:
            raise BadRequestError(f"the address is longer than {MAX_URL_BYTES} bytes")
        protocol = request.headers.get("Mesh-Proto")
        if protocol is not None and protocol not in {str(PROTOCOL), str(PROTOCOL - 1)}:
            raise UpgradeRequiredError(
                f"this hub speaks protocol {PROTOCOL} and {PROTOCOL - 1}, not {protocol[:20]}: "
                "install the same version of the mesh on both machines"
            )

    async def _record(self, type_: str, address: str) -> None:
        """Into the log and, if there is room, into the record."""
        logger.warning("caller refused", extra={"reason": type_, "address": address})
        with suppress(StorageFullError, DatabaseBusyError):
            await self.control.audit(type_, by="hub", detail={"address": address})

    async def _authenticate(self, request: Request) -> Verified:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        address = address_of(request)
        if scheme.lower() != "bearer" or not token:
            # Not a guess: counting it would lock out whoever opens the hub in a browser.
            raise UnauthorizedError(
                "send a token: Authorization: Bearer mesh_… "
                "(make one on the hub with: mesh token new --role operator)"
            )
        self.lockout.check(address, token)
        verified = await self.tokens.verify(token)
        if verified is None:
            if self.lockout.failed(address, token):
                await self._record("access.locked_out", address)
            raise UnauthorizedError(
                "this token is wrong, revoked or has expired. "
                "Make a new one on the hub: mesh token new"
            )
        self.lockout.proved(address, token)
        return verified


def _check_name(caller: Verified, name: str) -> None:
    if caller.actor.name != name:
        raise NotAllowedError(
            f"this token is bound to the node {caller.actor.name} and may not speak for {name}"
        )


def _holds_token(query: bytes) -> bool:
    if not query:
        return False
    text = query.decode("utf-8", "replace")
    keys = {key.lower() for key, _ in parse_qsl(text, keep_blank_values=True)}
    return bool(keys & _TOKEN_KEYS or TOKEN_PATTERN.search(text))


def address_of(request: Request) -> str:
    """Who calls, in one spelling; never from a header, which anybody may write."""
    client = request.scope.get("client") or ("", 0)
    return canonical_address(str(client[0]))
