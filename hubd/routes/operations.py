"""Running the hub: is it up, what does it measure, what is its API; hold and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from quart import Response

from common.wire.admin import Hold, SetHold
from hubd.ops.metrics import CONTENT_TYPE, Metrics
from hubd.routes.api import Api, Call, Kind, Nothing
from hubd.services.control import Control


class Health(Struct, frozen=True):
    """All that is said without a token."""

    status: str = "ok"


def add(
    api: Api, control: Control, metrics: Metrics, describe: Callable[[], dict[str, Any]]
) -> None:
    """Register the routes."""

    @api.route("GET /healthz", answers={200: Health})
    async def check_health(call: Call[Nothing, Nothing]) -> Health:
        """Say that the hub answers."""
        return Health()

    @api.route("GET /metrics", answers={200: None}, kind=Kind.TEXT)
    async def show_metrics(call: Call[Nothing, Nothing]) -> Response:
        """Show the hub's figures in Prometheus' text format."""
        return Response(await metrics.page(), content_type=CONTENT_TYPE)

    @api.route("GET /openapi.json", answers={200: None})
    async def describe_api(call: Call[Nothing, Nothing]) -> Response:
        """Describe this API."""
        return Response(msgspec.json.encode(describe()), content_type="application/json")

    @api.route("POST /v1/hold", body=SetHold, answers={200: Hold})
    async def set_hold(call: Call[SetHold, Nothing]) -> Hold:
        """Pause dispatch or go on; running work is not touched."""
        return await control.hold(call.body, by=call.actor)
