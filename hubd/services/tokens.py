"""Bearer tokens: issued once, stored hashed, found by id, revocable at once."""

from __future__ import annotations

from common.wire.admin import IssuedToken, NewToken, Token, TokenList
from hubd.domain.actors import Actor, Verified


class Tokens:
    """A token reads `mesh_<role>_<id>_<43 characters>`."""

    async def issue(self, request: NewToken, *, by: Actor) -> IssuedToken:
        """Raises InvalidError for a node token without a name."""
        raise NotImplementedError

    async def list(self) -> TokenList:
        raise NotImplementedError

    async def revoke(self, token_id: str, *, by: Actor) -> Token:
        """In effect for the next request; emits `token.revoked` (entity audit, key = id), which
        ends the token's open streams. Raises NotFoundError."""
        raise NotImplementedError

    async def verify(self, text: str) -> Verified | None:
        """None when it is unknown, wrong, expired or revoked; constant time in the secret."""
        raise NotImplementedError

    async def is_live(self, token_id: str) -> bool:
        """Whether a token that was good still is."""
        raise NotImplementedError
