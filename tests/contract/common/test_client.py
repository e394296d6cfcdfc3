"""The client against a real Hypercorn: errors as sentences, and a feed without gaps."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config as HypercornConfig
from quart import Quart, Response, request

from common.client import (
    Credentials,
    HubClient,
    HubError,
    HubUnreachableError,
    LinkLost,
    LinkUp,
    OperatorApi,
    Secret,
    follow_hub,
)
from common.supervise import Backoff
from common.wire.admin import Hold, Spend
from common.wire.events import Entity, Event, HubInfo, Pulse, Snapshot
from common.wire.messages import Bridge

AT = datetime(2026, 5, 1, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(app: Quart, port: int) -> AsyncIterator[None]:
    config = HypercornConfig()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 0.1
    stop = asyncio.Event()

    async def stopped() -> None:
        await stop.wait()

    task = asyncio.create_task(serve(app, config, shutdown_trigger=stopped), name="hypercorn")
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    break
        yield
    finally:
        stop.set()
        _, pending = await asyncio.wait([task], timeout=2)
        for left in pending:
            left.cancel()


def client(port: int) -> HubClient:
    return HubClient(Credentials(url=f"http://127.0.0.1:{port}", token=Secret("secret")))


def event(seq: int) -> bytes:
    record = msgspec.Raw(msgspec.json.encode(Hold(on=bool(seq % 2))))
    body = Event(
        seq=seq,
        id=f"1-{seq}",
        at=AT,
        type="hold.changed",
        entity=Entity.HOLD,
        key="hold",
        record=record,
    )
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        body.id.encode(),
        body.type.encode(),
        msgspec.json.encode(body),
    )


def snapshot(last: int) -> bytes:
    return msgspec.json.encode(
        Snapshot(
            last_event_id=f"1-{last}",
            at=AT,
            hub=HubInfo(version="1", started_at=AT, epoch=1, stale_after_s=25.0),
            hold=Hold(),
            spend=Spend(day="2026-05-01"),
            bridge=Bridge(),
        )
    )


def scripted_hub(stream: Callable[[str | None], list[bytes]]) -> Quart:
    """Each connection to /v1/events gets what `stream(last_event_id)` says, then ends."""
    app = Quart(__name__)

    @app.get("/v1/snapshot")
    async def get_snapshot() -> Response:
        return Response(snapshot(10), content_type="application/json")

    @app.get("/v1/events")
    async def get_events() -> Response:
        chunks = stream(request.headers.get("Last-Event-ID"))

        async def body() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk

        return Response(body(), content_type="text/event-stream")

    @app.get("/v1/nodes")
    async def get_nodes() -> tuple[dict[str, str], int]:
        return {"error": "forbidden", "message": "a node may not do that"}, 403

    @app.get("/v1/tasks")
    async def get_tasks() -> str:
        return "<html>"

    return app


async def test_the_hubs_own_sentence_reaches_the_caller() -> None:
    port = free_port()
    async with served(scripted_hub(lambda _: []), port), client(port) as hub:
        with pytest.raises(HubError, match="a node may not do that") as caught:
            await OperatorApi(hub).nodes()
        assert (caught.value.hub_code, caught.value.hub_status) == ("forbidden", 403)


async def test_an_answer_that_is_no_hubs_is_said_so() -> None:
    port = free_port()
    async with served(scripted_hub(lambda _: []), port), client(port) as hub:
        with pytest.raises(HubError, match="mesh version"):
            await OperatorApi(hub).tasks()


async def test_a_hub_that_is_away_is_one_sentence_with_its_address() -> None:
    port = free_port()
    async with client(port) as hub:
        with pytest.raises(HubUnreachableError, match=f"127.0.0.1:{port}.*mesh status"):
            await OperatorApi(hub).snapshot()


async def test_a_feed_resumes_after_every_cut_without_gap_or_repeat() -> None:
    port = free_port()
    asked: list[str | None] = []

    def two_at_a_time(last: str | None) -> list[bytes]:
        asked.append(last)
        seq = int((last or "1-0").split("-")[1])
        keepalive, pulse = b": keepalive\n", msgspec.json.encode(Pulse(node="Rex", at=AT))
        return [
            keepalive,
            event(seq + 1),
            keepalive,
            b"event: pulse\ndata: %s\n\n" % pulse,
            event(seq + 2),
        ]

    seen: list[int] = []
    kinds: set[type] = set()
    async with served(scripted_hub(two_at_a_time), port), client(port) as hub:
        feed = follow_hub(hub, backoff=Backoff(first_s=0.001, cap_s=0.01))
        async with asyncio.timeout(20), aclosing(feed):
            async for item in feed:
                kinds.add(type(item))
                if isinstance(item, Event):
                    seen.append(item.seq)
                if len(seen) == 10:
                    break
    assert seen == list(range(11, 21))
    assert asked[0] == "1-10"
    assert kinds == {Snapshot, LinkUp, LinkLost, Pulse, Event}


async def test_reset_brings_a_new_snapshot() -> None:
    port = free_port()

    def reset_once(last: str | None) -> list[bytes]:
        return [event(11)] if reset_sent else (reset_sent.append(1) or [RESET])

    reset_sent: list[int] = []
    items: list[object] = []
    async with served(scripted_hub(reset_once), port), client(port) as hub:
        feed = follow_hub(hub, backoff=Backoff(first_s=0.001, cap_s=0.01))
        async with asyncio.timeout(20), aclosing(feed):
            async for item in feed:
                items.append(type(item))
                if isinstance(item, Event):
                    break
    assert items == [Snapshot, LinkUp, Snapshot, LinkUp, Event]


RESET = b'event: reset\ndata: {"reason": "restored"}\n\n'


async def test_a_refused_token_ends_the_feed_instead_of_trying_for_ever() -> None:
    port = free_port()
    app = Quart(__name__)

    @app.get("/v1/snapshot")
    async def refuse() -> tuple[dict[str, str], int]:
        return {"error": "unauthorised", "message": "this token was revoked"}, 401

    async with served(app, port), client(port) as hub, aclosing(follow_hub(hub)) as feed:
        with pytest.raises(HubError, match="revoked"):
            await anext(feed)
