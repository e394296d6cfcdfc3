"""Invitations: tokens that are exchanged, once and soon, for the token of a newcomer."""

from __future__ import annotations

from dataclasses import replace

from common.wire.admin import Invitation, InvitationState, IssuedToken, JoinMesh, NewToken, Role
from common.wire.events import Entity
from hubd.domain.dispatch import is_fresh
from hubd.errors import ConflictError, InvalidError
from hubd.services.tokens import issue, revoke
from hubd.store import nodes, tokens
from hubd.store.database import Database
from hubd.store.tokens import TokenRow
from hubd.store.transaction import Tx


class Invitations:
    def __init__(self, database: Database, stale_after_s: float) -> None:
        self._database = database
        self._stale_after_s = stale_after_s

    async def state(self, token_id: str) -> Invitation:
        """For whoever holds the invitation, before they send its secret to this address."""
        row, now = await self._database.read(
            lambda view: (tokens.find(view.conn, token_id), view.now)
        )
        return Invitation(state=_state(row, now))

    async def exchange(self, token_id: str, request: JoinMesh) -> IssuedToken:
        """Use the invitation up and issue what it stands for, in one transaction.

        One token speaks for a node: those its name had before are revoked. Raises ConflictError
        when somebody was faster, when it is for another name, or when a node of that name
        reports now; InvalidError when nobody gave a name.
        """
        return await self._database.write(
            lambda tx: _exchange(tx, token_id, request, self._stale_after_s)
        )


def _state(row: TokenRow | None, now: float) -> InvitationState:
    if row is None or row.role is not Role.INVITE:
        return InvitationState.UNKNOWN
    if row.revoked_at is not None:
        return InvitationState.USED
    expired = row.expires_at is not None and now >= row.expires_at
    return InvitationState.EXPIRED if expired else InvitationState.OPEN


def _exchange(tx: Tx, token_id: str, request: JoinMesh, stale_after_s: float) -> IssuedToken:
    row = tokens.find(tx.conn, token_id)
    if row is None or row.grants is None or _state(row, tx.now) is not InvitationState.OPEN:
        raise ConflictError("this invitation was used or has expired: make another, mesh invite")
    if row.name and request.name and row.name != request.name:
        raise ConflictError(f"this invitation is for {row.name}, not for {request.name}")
    name = row.name or request.name
    if row.grants is Role.NODE:
        name = name or request.host
        if not name:
            raise InvalidError("a node needs a name: mesh join --name NAME")
        _vacate(tx, name, stale_after_s)
    tokens.update(tx.conn, replace(row, revoked_at=tx.now))
    tx.emit("invitation.used", Entity.AUDIT, row.id, None, {"name": name or ""})
    return issue(tx, NewToken(role=row.grants, name=name), f"invitation {row.id}")


def _vacate(tx: Tx, name: str, stale_after_s: float) -> None:
    """Two machines under one name would run the same tasks: refuse the name of a node that
    reports, and let no older token speak for one that is silent now."""
    node = nodes.find(tx.conn, name)
    seen_at = None if node is None else node.heartbeat_at
    if is_fresh(None if seen_at is None else tx.now - seen_at, stale_after_s):
        raise ConflictError(
            f"a node called {name} reports now: choose another name, mesh join --name NAME; or, "
            f"if it is this machine, mesh down agentd, and join {stale_after_s:.0f} s later"
        )
    for row in tokens.everyone(tx.conn):
        if row.role is Role.NODE and row.name == name and row.revoked_at is None:
            revoke(tx, row, "its successor")
