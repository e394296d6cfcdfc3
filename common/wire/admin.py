"""Hold, money, tokens, errors, files."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class Role(StrEnum):
    OPERATOR = "operator"
    VIEWER = "viewer"
    NODE = "node"
    """Bound to one node name."""
    BRIDGE = "bridge"


class Hold(Struct, frozen=True, kw_only=True):
    """Dispatch paused by the operator: nothing new starts, running work goes on."""

    on: bool = False
    reason: str | None = None
    by: str | None = None
    at: datetime | None = None


class SetHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    on: bool
    reason: Annotated[str, Meta(max_length=500)] | None = None


class Spend(Struct, frozen=True, kw_only=True):
    """What a day cost so far. `capped`: the cap is reached and nothing new starts."""

    day: str
    cost_usd: float = 0.0
    cap_usd: float | None = None
    capped: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class CostRow(Struct, frozen=True, kw_only=True):
    """`key` is a task id, a day, a node, a specialist, a model or a conversation."""

    key: str
    attempts: int = 0
    cost_usd: float = 0.0
    estimate_usd: float | None = None
    unknown_cost_attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class Costs(Struct, frozen=True, kw_only=True):
    by: str
    since: datetime | None = None
    until: datetime | None = None
    rows: list[CostRow] = []
    total: CostRow


class Token(Struct, frozen=True, kw_only=True):
    """A bearer token without its secret."""

    id: str
    role: Role
    name: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class NewToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Role
    name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    ttl_s: Annotated[float, Meta(gt=0)] | None = None


class IssuedToken(Token, frozen=True, kw_only=True):
    """The only answer that ever holds a token's text."""

    token: str


class TokenList(Struct, frozen=True, kw_only=True):
    tokens: list[Token]


class ErrorBody(Struct, frozen=True, kw_only=True):
    """Every error the hub answers with. `error` is a word for programs, `message` for people."""

    error: str
    message: str
    request_id: str | None = None
    detail: dict[str, str] = {}
