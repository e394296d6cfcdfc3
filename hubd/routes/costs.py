"""What the mesh spent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from common.clock import to_epoch
from common.wire.admin import Costs
from hubd.errors import InvalidError
from hubd.routes.api import Api, Call, Nothing
from hubd.services.money import GroupBy, Money

Moment = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]


LATEST_S = 4_102_444_800.0
"""The year 2100."""


class CostQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    by: GroupBy = GroupBy.DAY
    since: Moment | UnsetType = UNSET
    until: Moment | UnsetType = UNSET
    days: Annotated[int, Meta(ge=1, le=3660)] | None = None


def add(api: Api, money: Money) -> None:
    """Register the route."""

    @api.route("GET /v1/costs", query=CostQuery, answers={200: Costs}, errors=(InvalidError,))
    async def list_costs(call: Call[Nothing, CostQuery]) -> Costs:
        """Sum what attempts cost, grouped: those that ended in [since, until), or on the last
        `days` of the hub's calendar, and those that run."""
        since, until = parse_moment(call.query.since), parse_moment(call.query.until)
        return await money.costs(call.query.by, since=since, until=until, days=call.query.days)


def parse_moment(text: str | UnsetType) -> float | None:
    """Epoch seconds of an ISO 8601 moment with a zone; raises InvalidError for any other."""
    if text is UNSET:
        return None
    try:
        epoch_s = to_epoch(msgspec.convert(text, datetime))
    except (msgspec.ValidationError, ValueError, OverflowError):
        epoch_s = -1.0
    if not 0 <= epoch_s <= LATEST_S:
        raise InvalidError("since and until are moments such as 2026-01-31T00:00:00Z")
    return epoch_s
