"""Streams: every event once and in order, whoever breaks the connection and when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path

import httpx
import msgspec
import pytest
from httpx_sse import EventSource, ServerSentEvent

from common.client import HubError, HubUnreachableError, OperatorApi, follow_hub
from common.client.feed import SILENCE_S
from common.supervise import Backoff
from common.wire.admin import Role, SetHold
from common.wire.events import Event, Snapshot
from common.wire.nodes import Claim, RegisterNode
from common.wire.tasks import SubmitTask
from hubd.calls import MAX_STREAMS_PER_TOKEN, OpenCalls
from hubd.services.feed import Feed
from hubd.sse import KEEPALIVE, KEEPALIVE_S, Outlet, frame
from tests.contract.hubd.harness import RunningHub, issue, local_hub, revoke, until


async def _events(hub: RunningHub, last_event_id: str | None) -> AsyncIterator[ServerSentEvent]:
    headers = {"Authorization": f"Bearer {await hub.token(Role.OPERATOR)}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    async with (
        httpx.AsyncClient(base_url=hub.url, trust_env=False, timeout=10) as client,
        client.stream("GET", "/v1/events", headers=headers) as response,
    ):
        assert response.status_code == 200
        async for message in EventSource(response).aiter_sse():
            if message.data and message.event != "pulse":
                yield message


async def _submit(operator: OperatorApi, count: int, text: str = "x", first: int = 0) -> None:
    for number in range(first, first + count):
        await operator.submit(SubmitTask(prompt=text), idempotency_key=f"{text[:9]}{number}")


async def _take(hub: RunningHub, last_event_id: str, count: int) -> list[Event]:
    taken: list[Event] = []
    async with aclosing(_events(hub, last_event_id)) as messages:  # type: ignore[type-var]
        async for message in messages:
            taken.append(msgspec.json.decode(message.data, type=Event))
            assert message.id == taken[-1].id
            if len(taken) == count:
                return taken
    raise AssertionError(f"the stream ended after {len(taken)} of {count} events")


async def test_a_reader_that_comes_back_gets_what_it_missed_and_nothing_twice(
    hub: RunningHub,
) -> None:
    operator = OperatorApi(await hub.client())
    async with operator.client:
        start = (await operator.snapshot()).last_event_id
        await _submit(operator, 6)
        whole = await _take(hub, start, 6)
        assert [event.seq for event in whole] == list(range(whole[0].seq, whole[0].seq + 6))
        assert await _take(hub, whole[2].id, 3) == whole[3:]


async def test_what_another_process_wrote_is_not_left_out(hub: RunningHub) -> None:
    """`mesh-hubd token new` beside a running hub appends to the same log."""
    operator = OperatorApi(await hub.client())
    async with operator.client:
        start = (await operator.snapshot()).last_event_id
        await _submit(operator, 1)
        async with aclosing(_events(hub, start)) as messages:  # type: ignore[type-var]
            taken = [await anext(messages)]
            await issue(hub.home, Role.VIEWER)
            await _submit(operator, 1, first=1)
            taken += [await anext(messages), await anext(messages)]
    events = [msgspec.json.decode(message.data, type=Event) for message in taken]
    assert [event.entity for event in events] == ["task", "audit", "task"]
    assert [event.seq - events[0].seq for event in events] == [0, 1, 2]


@pytest.mark.parametrize("unknown", ["99-1", "1-999999", "x", "1", "-1-1", "0-0", "1-\x7f"])
async def test_an_id_that_cannot_be_continued_is_answered_with_a_reset(
    hub: RunningHub, unknown: str
) -> None:
    async with aclosing(_events(hub, unknown)) as messages:  # type: ignore[type-var]
        kinds = [message.event async for message in messages]
    assert kinds == ["reset"]


async def test_a_slow_reader_is_cut_off_harms_nobody_and_resumes_without_a_gap(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Feed.follow, "__kwdefaults__", {"capacity": 100})
    operator = OperatorApi(await hub.client(timeout_s=30))
    token = await hub.token(Role.OPERATOR)
    async with operator.client:
        start = (await operator.snapshot()).last_event_id
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = hub.url.removeprefix("http://").split(":")
        slow.connect((host, int(port)))
        slow.sendall(
            f"GET /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            f"Last-Event-ID: {start}\r\nConnection: close\r\n\r\n".encode()
        )
        count = 600
        quick = asyncio.create_task(_take(hub, start, count))
        async with asyncio.TaskGroup() as group:
            for worker in range(6):
                group.create_task(_submit(operator, 100, "y" * 12_000, worker * 100))
        whole = await quick
        assert len({event.seq for event in whole}) == count

        got = await asyncio.to_thread(_read_to_end, slow)
        ids = [line[4:].decode() for line in got.splitlines() if line.startswith(b"id: ")]
        seen = [event.id for event in whole[: len(ids)]]
        assert 0 < len(ids) < count
        assert ids == seen
        rest = await _take(hub, seen[-1], count - len(seen))
        assert rest == whole[len(seen) :]


def _read_to_end(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    parts = []
    with connection:
        while part := connection.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


# Fifty hubs end while connections to them are being made. Now and then one is dropped there with
# its transport unclosed, below anything of ours; what this test is about is the events.
@pytest.mark.filterwarnings("ignore:.*_SelectorTransport:pytest.PytestUnraisableExceptionWarning")
async def test_five_readers_see_every_event_once_through_fifty_restarts(mesh_home: Path) -> None:
    seen: list[list[Event]] = [[] for _ in range(5)]
    snapshots: list[Snapshot] = []
    async with local_hub(mesh_home) as first:
        port = int(first.url.rpartition(":")[2])
        token_hub = RunningHub(mesh_home, first.url)
        await token_hub.token(Role.OPERATOR)

    async def read(into: list[Event]) -> None:
        async with await token_hub.client() as client:
            backoff = Backoff(first_s=0.01, cap_s=0.05)
            async with aclosing(follow_hub(client, backoff=backoff)) as feed:
                async for item in feed:
                    if isinstance(item, Snapshot):
                        snapshots.append(item)
                    elif isinstance(item, Event):
                        into.append(item)

    async def write() -> int:
        number = 0
        async with await token_hub.client() as client:
            while not finished.is_set():
                with suppress(HubUnreachableError, HubError):
                    await _submit(OperatorApi(client), 1, "z", number)
                    number += 1
                await asyncio.sleep(0.005)
        return number

    finished = asyncio.Event()
    readers = [asyncio.create_task(read(into)) for into in seen]
    writer = asyncio.create_task(write())
    for _ in range(50):
        async with local_hub(mesh_home, port=port):
            many = max(map(len, seen))
            await until(lambda m=many: max(map(len, seen)) > m, "an event")  # type: ignore[misc]
    finished.set()
    async with local_hub(mesh_home, port=port):
        written = await writer
        assert written >= 50
        operator = OperatorApi(await token_hub.client())
        async with operator.client:
            last = (await operator.snapshot()).last_event_id
        for into in seen:
            await until(lambda i=into: any(e.id == last for e in i), "the last event")  # type: ignore[misc]
        for task in readers:
            task.cancel()
        await asyncio.wait(readers)
    assert len(snapshots) == 5
    begin = {int(snapshot.last_event_id.partition("-")[2]) + 1 for snapshot in snapshots}
    for into in seen:
        seqs = [event.seq for event in into]
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
        assert seqs[0] in begin


async def test_a_revoked_tokens_stream_and_long_poll_end_within_two_seconds(
    hub: RunningHub,
) -> None:
    operator = OperatorApi(await hub.client())
    loop = asyncio.get_running_loop()
    async with operator.client, AsyncExitStack() as stack:
        viewer = await stack.enter_async_context(await hub.client(Role.VIEWER))
        node = await stack.enter_async_context(await hub.client(Role.NODE, "Rex"))
        await node.call("POST", "/v1/nodes/Rex/register", dict, body=RegisterNode(slots=1))
        stream = await stack.enter_async_context(viewer.raw.stream("GET", "/v1/events"))
        claim = asyncio.create_task(
            node.call("POST", "/v1/nodes/Rex/claim", dict, body=Claim(free_slots=1, wait_s=30))
        )
        lines = stream.aiter_lines()
        await operator.hold(SetHold(on=True))
        await anext(lines)
        for token in (await operator.tokens()).tokens:
            if token.role in {Role.VIEWER, Role.NODE}:
                await operator.revoke_token(token.id)
        began = loop.time()
        async with asyncio.timeout(5):
            async for _ in lines:
                pass
            with pytest.raises(HubError) as refused:
                await claim
        assert loop.time() - began < 2
        assert refused.value.hub_status == 401


async def test_a_token_revoked_by_another_process_is_refused_at_once(
    hub: RunningHub, mesh_home: Path
) -> None:
    text = await issue(mesh_home, Role.VIEWER)
    viewer = RunningHub(mesh_home, hub.url, {"viewer": text})
    async with await viewer.client(Role.VIEWER) as client:
        assert (await client.raw.get("/v1/nodes")).status_code == 200
        async with client.raw.stream("GET", "/v1/events") as stream:
            await revoke(mesh_home, text)
            assert (await client.raw.get("/v1/nodes")).status_code == 401
            async with asyncio.timeout(2):
                async for _ in stream.aiter_raw():
                    pass


async def test_a_token_may_hold_only_so_many_streams(hub: RunningHub) -> None:
    async with await hub.client() as client, AsyncExitStack() as stack:
        raw = httpx.AsyncClient(
            base_url=hub.url,
            headers=client.raw.headers,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )
        await stack.enter_async_context(raw)
        for _ in range(MAX_STREAMS_PER_TOKEN):
            opened = await stack.enter_async_context(raw.stream("GET", "/v1/events"))
            assert opened.status_code == 200
        refused = await raw.get("/v1/events")
        assert (refused.status_code, refused.json()["error"]) == (429, "rate_limited")


async def test_a_reader_that_leaves_is_forgotten(hub: RunningHub) -> None:
    async with await hub.client() as client:
        for _ in range(3):
            async with client.raw.stream("GET", "/v1/events") as stream:
                assert stream.status_code == 200

        async def open_streams() -> str:
            page = (await client.raw.get("/metrics")).text
            return next(x for x in page.splitlines() if x.startswith("mesh_streams_open"))

        async with asyncio.timeout(5):
            while await open_streams() != "mesh_streams_open 0.0":
                pass


async def test_the_output_stream_of_a_task_that_does_not_exist_is_a_plain_404(
    hub: RunningHub,
) -> None:
    async with await hub.client() as client:
        response = await client.raw.get("/v1/tasks/7/output")
        assert (response.status_code, response.json()["error"]) == (404, "not_found")


async def test_silence_is_filled_with_comments_that_are_no_events() -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    outlet = Outlet(silent(), keepalive_s=0.01)  # type: ignore[arg-type]
    async with aclosing(outlet.chunks(OpenCalls(), "t")) as chunks:  # type: ignore[type-var]
        assert [await anext(chunks) for _ in range(3)] == [KEEPALIVE] * 3
    assert KEEPALIVE.count(b"\n") == 1
    assert 2 * KEEPALIVE_S < SILENCE_S


async def test_a_stream_ends_with_its_source_after_everything_was_sent() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield frame(b"1", id_="1-1")
        yield frame(b"{}", event="end")

    calls = OpenCalls()
    outlet = Outlet(source())  # type: ignore[arg-type]
    sent = b"".join([chunk async for chunk in outlet.chunks(calls, "t")])
    assert sent == b"id: 1-1\ndata: 1\n\nevent: end\ndata: {}\n\n"
    assert calls.streams == 0
