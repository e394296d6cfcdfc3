"""Tokens: issue, list, revoke."""

from __future__ import annotations

from common.wire.admin import IssuedToken, NewToken, Token, TokenList
from hubd.errors import InvalidError, NotFoundError
from hubd.routes.api import Api, Call, Nothing
from hubd.services.tokens import Tokens


def add(api: Api, tokens: Tokens) -> None:
    """Register the routes."""

    @api.route("POST /v1/tokens", body=NewToken, answers={201: IssuedToken}, errors=(InvalidError,))
    async def issue_token(call: Call[NewToken, Nothing]) -> IssuedToken:
        """Issue a token; this is the only answer that ever holds its text."""
        return await tokens.issue(call.body, by=call.actor)

    @api.route("GET /v1/tokens", answers={200: TokenList})
    async def list_tokens(call: Call[Nothing, Nothing]) -> TokenList:
        """List the tokens without their secrets."""
        return await tokens.list()

    @api.route("DELETE /v1/tokens/<token_id>", answers={200: Token}, errors=(NotFoundError,))
    async def revoke_token(call: Call[Nothing, Nothing], token_id: str) -> Token:
        """Revoke a token: its next request is refused, its open streams end within 2 s."""
        return await tokens.revoke(token_id, by=call.actor)
