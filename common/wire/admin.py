"""Hold, money, tokens, errors, files."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from common.wire.moment import Moment

MachineName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Role(StrEnum):
    OPERATOR = "operator"
    VIEWER = "viewer"
    NODE = "node"
    """Bound to one node name."""
    BRIDGE = "bridge"
    INVITE = "invite"
    """Good for one thing, once: to be exchanged for the token it stands for."""


class Hold(Struct, frozen=True, kw_only=True):
    """Dispatch paused by the operator: nothing new starts, running work goes on."""

    on: bool = False
    reason: str | None = None
    by: str | None = None
    at: Moment | None = None


class SetHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/hold`; `reason` is shown as long as the hold lasts."""

    on: bool
    reason: Annotated[str, Meta(max_length=500)] | None = None


class Spend(Struct, frozen=True, kw_only=True):
    """What a day cost so far, as far as it is known: the attempts that ended in it, and
    `running_usd`, which is part of `cost_usd`, of those that run. Of `unknown_cost_attempts` the
    cost, or part of it, is in no sum. `capped`: the cap is reached and nothing new starts."""

    day: str
    cost_usd: float = 0.0
    running_usd: float = 0.0
    unknown_cost_attempts: int = 0
    cap_usd: float | None = None
    capped: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class CostRow(Struct, frozen=True, kw_only=True):
    """`key` is a task id, a day, a node, a specialist, a model or a conversation.

    `cost_usd` counts each attempt with its runner's own figure or else our estimate; null when
    nothing is known. Of `unknown_cost_attempts` the cost, or part of it, is not in it.
    `estimate_usd` is what our list prices make of the same, for comparison. `running_attempts` have
    not ended: they count with what they used so far.
    """

    key: str
    attempts: int = 0
    cost_usd: float | None = 0.0
    estimate_usd: float | None = None
    unknown_cost_attempts: int = 0
    running_attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class Costs(Struct, frozen=True, kw_only=True):
    """What attempts that ended in [since, until), or still run, cost; one row for each value of
    `by`. Every `by` sums up to the same total."""

    by: str
    since: Moment | None = None
    until: Moment | None = None
    rows: list[CostRow] = []
    total: CostRow


class Token(Struct, frozen=True, kw_only=True):
    """A bearer token without its secret. `grants`: what an invitation is exchanged for."""

    id: str
    role: Role
    name: str
    grants: Role | None = None
    created_at: Moment
    expires_at: Moment | None = None
    last_used_at: Moment | None = None
    revoked_at: Moment | None = None


class NewToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`grants` and a default time to live of 15 minutes are for invitations; `name` is then the
    name of the token they are exchanged for, and left out when the newcomer may choose it."""

    role: Role
    name: MachineName | None = None
    ttl_s: Annotated[float, Meta(gt=0, le=10 * 365 * 86_400)] | None = None
    grants: Role | None = None


class IssuedToken(Token, frozen=True, kw_only=True):
    """The only answer that ever holds a token's text."""

    token: str


class InvitationState(StrEnum):
    OPEN = "open"
    USED = "used"
    """Or taken back."""
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Invitation(Struct, frozen=True, kw_only=True):
    """Whether an invitation can still be used: asked before its secret is sent."""

    state: InvitationState


class JoinMesh(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/join`. `name` is what the newcomer insists on, `host` what it is called
    when neither it nor the invitation says otherwise."""

    name: MachineName | None = None
    host: MachineName | None = None


class TokenList(Struct, frozen=True, kw_only=True):
    """Every token ever issued, oldest first, also revoked and expired ones."""

    tokens: list[Token]


class ErrorBody(Struct, frozen=True, kw_only=True):
    """Every error the hub answers with. `error` is a word for programs, `message` for people."""

    error: str
    message: str
    request_id: str | None = None
    detail: dict[str, str] = {}
