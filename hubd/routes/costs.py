"""What the mesh spent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from common.clock import to_epoch
from common.wire.admin import Costs
from hubd.errors import InvalidError
from hubd.routes.api import Api, Call, Nothing
from hubd.services.money import GroupBy, Money

Moment = Annotated[datetime, Meta(tz=True)]


class CostQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    by: GroupBy = GroupBy.DAY
    since: Moment | None = None
    until: Moment | None = None


def add(api: Api, money: Money) -> None:
    """Register the route."""

    @api.route("GET /v1/costs", query=CostQuery, answers={200: Costs}, errors=(InvalidError,))
    async def list_costs(call: Call[Nothing, CostQuery]) -> Costs:
        """Sum what attempts that ended in [since, until) cost, grouped."""
        since, until = call.query.since, call.query.until
        return await money.costs(
            call.query.by,
            since=to_epoch(since) if since else None,
            until=to_epoch(until) if until else None,
        )
