"""Who asks: the role and name a token stands for, and how they reached the hub."""

from __future__ import annotations

from dataclasses import dataclass

from common.wire.admin import Role


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is the node's name for a node, else the token's; `via` is shown to people."""

    role: Role
    name: str
    via: str = "api"


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was found, compared and is still good."""

    actor: Actor
    token_id: str
    expires_at: float | None = None
