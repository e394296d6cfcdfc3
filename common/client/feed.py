"""Following the hub without a gap: snapshot, then events, through restarts and sleep.

httpx notices a dead peer only by its read time-out, so `SILENCE_S` is three of the hub's
keep-alive intervals; without it a laptop that slept would wait for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx
import msgspec
from httpx_sse import EventSource, ServerSentEvent, SSEError

from common.client.http import HubClient, HubError, HubUnreachableError, raise_for_error
from common.client.operator import OperatorApi
from common.link import Followed, LinkLost, LinkUp
from common.supervise import Backoff
from common.wire.events import Event, Pulse
from common.wire.nodes import OutputLine

KEEPALIVE_S = 5.0
SILENCE_S = 3 * KEEPALIVE_S


async def follow_hub(
    client: HubClient, *, backoff: Backoff | None = None
) -> AsyncGenerator[Followed]:
    """Yield a snapshot, then every later event once and in order, for as long as it is read.

    A new snapshot comes when the hub cannot continue from the last event (`reset`). Raises
    HubError for a 4xx: a wrong or revoked token does not mend itself.
    """
    backoff = backoff or Backoff(first_s=0.2, cap_s=5.0)
    last_event_id: str | None = None
    while True:
        reason = "the hub closed the stream"
        try:
            if last_event_id is None:
                snapshot = await OperatorApi(client).snapshot()
                last_event_id = snapshot.last_event_id
                yield snapshot
            async with aclosing(_stream(client, "/v1/events", last_event_id)) as stream:
                async for message in stream:
                    followed = _followed(message)
                    if followed is None:
                        last_event_id = None
                        break
                    if isinstance(followed, Event):
                        last_event_id = followed.id
                    elif isinstance(followed, LinkUp):
                        backoff.reset()
                    yield followed
            if last_event_id is None:
                continue
        except HubUnreachableError as error:
            reason = error.message
        except HubError as error:
            if error.hub_status < 500 and error.hub_status != 429:
                raise
            reason = error.message
        pause_s = backoff.next_s()
        yield LinkLost(reason, pause_s)
        await asyncio.sleep(pause_s)


def _followed(message: ServerSentEvent | None) -> LinkUp | Pulse | Event | None:
    """What a stream message says; None for `reset`."""
    if message is None:
        return LinkUp()
    if message.event == "reset":
        return None
    if message.event == "pulse":
        return msgspec.json.decode(message.data, type=Pulse)
    return msgspec.json.decode(message.data, type=Event)


async def follow_output(client: HubClient, task_id: int) -> AsyncGenerator[OutputLine]:
    """Yield a task's output from its beginning until the task is finished.

    Reconnects by itself; raises HubError when the task does not exist.
    """
    backoff = Backoff(first_s=0.2, cap_s=5.0)
    last_id: str | None = None
    while True:
        try:
            path = f"/v1/tasks/{task_id}/output"
            async with aclosing(_stream(client, path, last_id)) as stream:
                async for message in stream:
                    if message is None:
                        backoff.reset()
                    elif message.event == "end":
                        return
                    else:
                        last_id = message.id or last_id
                        yield msgspec.json.decode(message.data, type=OutputLine)
        except HubUnreachableError:
            pass  # the next try follows
        await asyncio.sleep(backoff.next_s())


async def _stream(
    client: HubClient, path: str, last_event_id: str | None
) -> AsyncGenerator[ServerSentEvent | None]:
    """One connection: None when it stands, then its messages until it ends."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    timeout = httpx.Timeout(10.0, connect=5.0, read=SILENCE_S)
    try:
        async with client.raw.stream("GET", path, headers=headers, timeout=timeout) as response:
            if not response.is_success:
                await response.aread()
                raise_for_error(response)
            yield None
            async for message in EventSource(response).aiter_sse():
                # httpx-sse gives an event without data for a comment followed by a blank line.
                if message.data:
                    yield message
    except (httpx.TransportError, SSEError) as error:
        raise client.unreachable(error) from error
