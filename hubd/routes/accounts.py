"""Accounts: a paused or blocked provider login goes back into service."""

from __future__ import annotations

from common.wire.nodes import Account
from hubd.errors import NotFoundError
from hubd.routes.api import Api, Call, Nothing
from hubd.services.nodes import Nodes


def add(api: Api, nodes: Nodes) -> None:
    """Register the route."""

    @api.route("POST /v1/accounts/<name>/resume", answers={200: Account}, errors=(NotFoundError,))
    async def resume_account(call: Call[Nothing, Nothing], name: str) -> Account:
        """End an account's pause, or its block after somebody logged in."""
        return await nodes.resume_account(name, by=call.actor)
