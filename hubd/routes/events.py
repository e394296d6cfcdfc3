"""The streams: what changes, and what a running task says."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from msgspec.structs import replace

from common.wire.events import Event, Pulse, Snapshot
from hubd.calls import OpenCalls
from hubd.errors import NotFoundError
from hubd.ops.space import Space
from hubd.routes.api import Api, Call, Kind, Nothing
from hubd.services.control import Control
from hubd.services.feed import Feed
from hubd.services.tasks import Tasks
from hubd.sse import event_frame, frame, pulse_frame, reset_frame

_LINE_ID = re.compile(r"^(\d{1,18})-(\d{1,18})$")


def add(
    api: Api, control: Control, feed: Feed, tasks: Tasks, calls: OpenCalls, space: Space
) -> None:
    """Register the routes."""

    @api.route("GET /v1/snapshot", answers={200: Snapshot})
    async def take_snapshot(call: Call[Nothing, Nothing]) -> Snapshot:
        """Take the state at `last_event_id`, where its events continue."""
        snapshot = await control.snapshot()
        hub = replace(snapshot.hub, disk_full=snapshot.hub.disk_full or space.low)
        return replace(snapshot, hub=hub)

    @api.route("GET /v1/events", answers={200: None}, kind=Kind.STREAM)
    async def follow_events(call: Call[Nothing, Nothing]) -> AsyncGenerator[bytes]:
        """Stream events after `Last-Event-ID` (without one: from now on), each once, in order.

        A message without a name is an event with its id; `pulse` is a heartbeat and has none;
        `reset` says that the id cannot be continued: take a snapshot.
        """
        return event_frames(feed, call.headers.get("Last-Event-ID"))

    @api.route(
        "GET /v1/tasks/<task_id>/output",
        answers={200: None},
        errors=(NotFoundError,),
        kind=Kind.STREAM,
    )
    async def follow_output(call: Call[Nothing, Nothing], task_id: int) -> AsyncGenerator[bytes]:
        """Stream what a task's attempts say, stored lines first; `end` when it is finished."""
        await tasks.get(task_id)
        after = parse_line_id(call.headers.get("Last-Event-ID"))
        return output_frames(tasks, calls, task_id, after)


def parse_line_id(text: str | None) -> tuple[int, int] | None:
    """Fence and number of the last line seen; None, the beginning, for anything else."""
    match = _LINE_ID.match(text or "")
    return (int(match[1]), int(match[2])) if match else None


async def event_frames(feed: Feed, last_event_id: str | None) -> AsyncGenerator[bytes]:
    """The feed as SSE messages; ends as the feed does."""
    async with aclosing(feed.follow(last_event_id)) as items:  # type: ignore[type-var]
        async for item in items:
            if isinstance(item, Event):
                yield event_frame(item)
            elif isinstance(item, Pulse):
                yield pulse_frame(item)
            else:
                yield reset_frame(item.reason)
                return


async def output_frames(
    tasks: Tasks, calls: OpenCalls, task_id: int, after: tuple[int, int] | None
) -> AsyncGenerator[bytes]:
    """A task's output as SSE messages; `end` follows the last when the task is finished."""
    async with aclosing(tasks.output(task_id, after=after)) as lines:  # type: ignore[type-var]
        async for line in lines:
            if line is not None:
                yield frame(msgspec.json.encode(line), id_=f"{line.fence}-{line.n}")
    if not calls.stopping:
        yield frame(b"{}", event="end")
