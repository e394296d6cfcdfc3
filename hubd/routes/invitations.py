"""Joining the mesh with an invitation."""

from __future__ import annotations

from common.wire.admin import Invitation, IssuedToken, JoinMesh
from hubd.errors import ConflictError, InvalidError
from hubd.routes.api import Api, Call, Nothing
from hubd.services.invitations import Invitations


def add(api: Api, invitations: Invitations) -> None:
    """Register the routes."""

    @api.route("GET /v1/invitations/<token_id>", answers={200: Invitation})
    async def show_invitation(call: Call[Nothing, Nothing], token_id: str) -> Invitation:
        """Say whether an invitation can still be used.

        Asked without a token, by an id that only its holder knows, so that a used or expired
        invitation never sends its secret.
        """
        return await invitations.state(token_id)

    @api.route(
        "POST /v1/join",
        body=JoinMesh,
        answers={201: IssuedToken},
        errors=(ConflictError, InvalidError),
    )
    async def join_mesh(call: Call[JoinMesh, Nothing]) -> IssuedToken:
        """Exchange an invitation, which is the bearer token of this call, for a token."""
        return await invitations.exchange(call.token_id, call.body)
