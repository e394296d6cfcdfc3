"""Bearer tokens: issued once, stored hashed, found by id, revocable at once."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import replace

import msgspec

from common.clock import to_datetime, to_datetime_or_none
from common.wire.admin import IssuedToken, NewToken, Role, Token, TokenList
from common.wire.events import Entity
from hubd.domain.actors import Actor, Verified
from hubd.errors import DatabaseBusyError, InvalidError, NotFoundError, StorageFullError
from hubd.services import present
from hubd.store import tokens
from hubd.store.database import Database
from hubd.store.tokens import TokenRow
from hubd.store.transaction import Tx

TOUCH_EVERY_S = 300.0
"""`last_used_at` is written at most this often, not with every request."""

INVITATION_S = 900.0
"""How long an invitation can be used, unless somebody says otherwise."""

_TOKEN = re.compile(r"^mesh_([a-z]+)_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$")
_NO_HASH = hashlib.sha256(b"").hexdigest()


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Tokens:
    """A token reads `mesh_<role>_<id>_<43 characters>`: 256 bits, of which the hash is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, request: NewToken, *, by: Actor) -> IssuedToken:
        """Raises InvalidError for a node token without a name."""
        return await self._database.write(lambda tx: issue(tx, request, by.name))

    async def list(self) -> TokenList:
        return await self._database.read(
            lambda view: TokenList(tokens=[present.token(t) for t in tokens.everyone(view.conn)])
        )

    async def revoke(self, token_id: str, *, by: Actor) -> Token:
        """In effect for the next request; emits `token.revoked` (entity audit, key = id), which
        ends the token's open streams. Raises NotFoundError."""

        def run(tx: Tx) -> Token:
            row = tokens.find(tx.conn, token_id)
            if row is None:
                raise NotFoundError(f"there is no token {token_id[:12]}")
            if row.revoked_at is None:
                row = revoke(tx, row, by.name)
            return present.token(row)

        return await self._database.write(run)

    async def verify(self, text: str) -> Verified | None:
        """None when it is unknown, wrong, expired or revoked; constant time in the secret."""
        match = _TOKEN.match(text)
        if match is None:
            return None
        role, token_id, secret = match.groups()
        row, now = await self._database.read(
            lambda view: (tokens.find(view.conn, token_id), view.now)
        )
        known = _NO_HASH if row is None else row.secret_hash
        same = hmac.compare_digest(hash_secret(secret), known)
        if row is None or not same or row.role.value != role or not _is_good(row, now):
            return None
        if now - (row.last_used_at or 0.0) > TOUCH_EVERY_S:
            # What cannot be written must not shut out heartbeats and reads.
            with suppress(StorageFullError, DatabaseBusyError):
                await self._database.write(lambda tx: tokens.touch(tx.conn, token_id, tx.now))
        return Verified(Actor(row.role, row.name), row.id, row.expires_at)

    async def is_live(self, token_id: str) -> bool:
        """Whether a token that was good still is."""
        row, now = await self._database.read(
            lambda view: (tokens.find(view.conn, token_id), view.now)
        )
        return row is not None and _is_good(row, now)


def _is_good(row: TokenRow, now: float) -> bool:
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def issue(tx: Tx, request: NewToken, by: str) -> IssuedToken:
    """A new token; its text is in the answer and nowhere else."""
    if request.role is Role.NODE and not request.name:
        raise InvalidError("a node token is bound to one node: name it")
    request = _completed(request)
    secret = secrets.token_urlsafe(32)
    row = TokenRow(
        id=secrets.token_hex(6),
        role=request.role,
        name=request.name or "",
        secret_hash=hash_secret(secret),
        created_at=tx.now,
        expires_at=None if request.ttl_s is None else tx.now + request.ttl_s,
        grants=request.grants,
    )
    tokens.insert(tx.conn, row)
    detail = {"role": row.role.value, "name": row.name, "by": by}
    tx.emit("token.issued", Entity.AUDIT, row.id, None, detail)
    return IssuedToken(
        id=row.id,
        role=row.role,
        name=row.name,
        grants=row.grants,
        created_at=to_datetime(row.created_at),
        expires_at=to_datetime_or_none(row.expires_at),
        token=f"mesh_{row.role.value}_{row.id}_{secret}",
    )


def revoke(tx: Tx, row: TokenRow, by: str) -> TokenRow:
    revoked = replace(row, revoked_at=tx.now)
    tokens.update(tx.conn, revoked)
    tx.emit("token.revoked", Entity.AUDIT, row.id, None, {"by": by})
    return revoked


def _completed(request: NewToken) -> NewToken:
    """The request with what was left to us; raises InvalidError for a contradiction."""
    if request.role is not Role.INVITE:
        if request.grants is not None:
            raise InvalidError(
                "only an invitation is exchanged for another token: leave out grants"
            )
        return msgspec.structs.replace(request, name=request.name or request.role.value)
    if request.grants is Role.INVITE:
        raise InvalidError("an invitation cannot be exchanged for an invitation")
    return msgspec.structs.replace(
        request, grants=request.grants or Role.NODE, ttl_s=request.ttl_s or INVITATION_S
    )
