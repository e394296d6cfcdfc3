"""Invitations: tokens that are exchanged, once and soon, for the token of a newcomer."""

from __future__ import annotations

from dataclasses import replace

from common.wire.admin import Invitation, InvitationState, IssuedToken, JoinMesh, NewToken, Role
from common.wire.events import Entity
from hubd.errors import ConflictError, InvalidError
from hubd.services.tokens import issue
from hubd.store import tokens
from hubd.store.database import Database
from hubd.store.tokens import TokenRow
from hubd.store.transaction import Tx


class Invitations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, token_id: str) -> Invitation:
        """For whoever holds the invitation, before they send its secret to this address."""
        row, now = await self._database.read(
            lambda view: (tokens.find(view.conn, token_id), view.now)
        )
        return Invitation(state=_state(row, now))

    async def exchange(self, token_id: str, request: JoinMesh) -> IssuedToken:
        """Use the invitation up and issue what it stands for, in one transaction.

        Raises ConflictError when somebody was faster or it is for another name, InvalidError
        when nobody gave a name.
        """
        return await self._database.write(lambda tx: _exchange(tx, token_id, request))


def _state(row: TokenRow | None, now: float) -> InvitationState:
    if row is None or row.role is not Role.INVITE:
        return InvitationState.UNKNOWN
    if row.revoked_at is not None:
        return InvitationState.USED
    expired = row.expires_at is not None and now >= row.expires_at
    return InvitationState.EXPIRED if expired else InvitationState.OPEN


def _exchange(tx: Tx, token_id: str, request: JoinMesh) -> IssuedToken:
    row = tokens.find(tx.conn, token_id)
    if row is None or row.grants is None or _state(row, tx.now) is not InvitationState.OPEN:
        raise ConflictError("this invitation was used or has expired: make another, mesh invite")
    if row.name and request.name and row.name != request.name:
        raise ConflictError(f"this invitation is for {row.name}, not for {request.name}")
    name = row.name or request.name
    if row.grants is Role.NODE:
        name = name or request.host
    if row.grants is Role.NODE and not name:
        raise InvalidError("a node needs a name: mesh join --name NAME")
    tokens.update(tx.conn, replace(row, revoked_at=tx.now))
    tx.emit("invitation.used", Entity.AUDIT, row.id, None, {"name": name or ""})
    return issue(tx, NewToken(role=row.grants, name=name), f"invitation {row.id}")
