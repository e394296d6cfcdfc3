"""An attempt's live output on its way to the hub: merged, numbered, sent in small batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec

from agentd.fitting import encodable, fit
from agentd.runners.protocol import (
    ApprovalRequested,
    Event,
    LimitNoticed,
    Noticed,
    RetryNoticed,
    TextSaid,
    ToolEnded,
    ToolStarted,
)
from common.client import HubError, HubUnreachableError
from common.supervise import Backoff
from common.wire.nodes import Applied, OutputItem, OutputKind, PostOutput

logger = logging.getLogger(__name__)

REFUSALS = frozenset({"bad_request", "conflict", "forbidden", "invalid", "not_found", "too_large"})
"""What the hub itself says of a batch it will never take. All else may pass, as what some other
server at its address says."""

FLUSH_S = 0.25
RETRY_FIRST_S = 0.5
BATCH_ITEMS = 200
BATCH_BYTES = 500_000
ITEM_BYTES = 90_000
NAME_CHARS = 200
MAX_WAITING = 5000
TEXT_CHARS = 20_000


class OutputSink(Protocol):
    """What the feed needs of the hub."""

    async def output(self, fence: int, output: PostOutput) -> Applied: ...


def output_item(event: Event, at: datetime) -> OutputItem | None:
    """What an event shows to somebody who watches; None for what is not shown."""
    match event:
        case TextSaid(text, thinking):
            kind = OutputKind.THINKING if thinking else OutputKind.TEXT
            return OutputItem(kind=kind, text=text, at=at)
        case ToolStarted():
            return OutputItem(
                kind=OutputKind.TOOL_START,
                text=event.summary,
                tool=event.tool,
                tool_id=event.tool_id,
                at=at,
            )
        case ToolEnded():
            return OutputItem(
                kind=OutputKind.TOOL_END,
                text=event.text,
                tool=event.tool or None,
                tool_id=event.tool_id,
                is_error=event.is_error,
                at=at,
            )
        case RetryNoticed():
            cause = event.status or event.reason or "network"
            text = f"retry {event.attempt} of {event.of} in {event.delay_s:.1f} s ({cause})"
            return OutputItem(kind=OutputKind.STATUS, text=text, at=at)
        case LimitNoticed(resets_at):
            until = f" until {resets_at.isoformat()}" if resets_at else ""
            return OutputItem(kind=OutputKind.STATUS, text=f"usage limit{until}", at=at)
        case Noticed(text):
            return OutputItem(kind=OutputKind.STATUS, text=text, at=at)
        case ApprovalRequested():
            return OutputItem(kind=OutputKind.STATUS, text=f"asks: {event.summary}", at=at)
    return None


class OutputFeed:
    """Collects items and sends them; `run` until `close`. Nothing here may fail an attempt.

    While the hub is away items wait, and beyond MAX_WAITING the oldest are dropped. A batch is
    numbered and frozen when it is tried, so the hub can drop one that comes twice. The numbers
    leave no hole, which the hub would refuse: a status line stands for what was dropped or refused.
    """

    def __init__(self, fence: int, sink: OutputSink, now: Callable[[], datetime]) -> None:
        self._fence = fence
        self._sink = sink
        self._now = now
        self._waiting: list[OutputItem] = []
        self._first = 0
        self._dropped = 0
        self._news = asyncio.Event()
        self._closed = asyncio.Event()
        self.fenced = asyncio.Event()

    def add(self, event: Event) -> None:
        item = output_item(event, self._now())
        if item is None:
            return
        item = _fitted(item)
        if self._waiting and (merged := _merged(self._waiting[-1], item)):
            self._waiting[-1] = merged
        else:
            self._waiting.append(item)
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[0]
            self._dropped += 1
        self._news.set()

    def close(self) -> None:
        self._closed.set()
        self._news.set()

    async def run(self) -> None:
        """Send what comes until closed and empty, or until the hub says the fence is stale."""
        while not self.fenced.is_set():
            await self._news.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._closed.wait()
            if not self._waiting and self._closed.is_set():
                return
            self._news.clear()
            await self._send_waiting()
            if self._closed.is_set():
                self._news.set()

    async def _send_waiting(self) -> None:
        while self._waiting and not self.fenced.is_set():
            items = self._next_batch()
            if not await self._deliver(items):
                note = f"{len(items)} pieces of output could not be shown"
                items = [self._status(note)]
                if not await self._deliver(items):
                    continue  # also the note was refused: go on as if there had been nothing
            self._first += len(items)

    def _next_batch(self) -> list[OutputItem]:
        if self._dropped:
            note = f"{self._dropped} pieces of output were dropped while the hub was away"
            self._waiting.insert(0, self._status(note))
            self._dropped = 0
        size, count = 0, 0
        for item in self._waiting[:BATCH_ITEMS]:
            size += len(msgspec.json.encode(item))
            if count and size > BATCH_BYTES:
                break
            count += 1
        items = self._waiting[:count]
        del self._waiting[:count]
        return items

    def _status(self, text: str) -> OutputItem:
        return OutputItem(kind=OutputKind.STATUS, text=text, at=self._now())

    async def _deliver(self, items: list[OutputItem]) -> bool:
        """Whether the hub has the batch; False when it refuses this one for good."""
        batch = PostOutput(first=self._first, items=items)
        backoff = Backoff(first_s=RETRY_FIRST_S, cap_s=10.0)
        while True:
            try:
                await self._sink.output(self._fence, batch)
                return True
            except HubUnreachableError:
                await asyncio.sleep(backoff.next_s())
            except HubError as error:
                if error.hub_code == "fenced":
                    self.fenced.set()
                    return True
                if error.hub_code in REFUSALS:
                    logger.warning(
                        "output refused", extra={"fence": self._fence, "error": error.message}
                    )
                    return False
                await asyncio.sleep(backoff.next_s())


def _fitted(item: OutputItem) -> OutputItem:
    """The item as the wire allows it."""
    return msgspec.structs.replace(
        item,
        text=fit(item.text, ITEM_BYTES),
        tool=encodable(item.tool)[:NAME_CHARS] if item.tool else None,
        tool_id=encodable(item.tool_id)[:NAME_CHARS] if item.tool_id else None,
    )


def _merged(last: OutputItem, item: OutputItem) -> OutputItem | None:
    """Text pieces that wait together are one item: a model writes in crumbs."""
    if last.kind is not item.kind or item.kind not in (OutputKind.TEXT, OutputKind.THINKING):
        return None
    if len(last.text) + len(item.text) > TEXT_CHARS:
        return None
    return msgspec.structs.replace(last, text=last.text + item.text)
