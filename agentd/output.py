"""An attempt's live output on its way to the hub: merged, numbered, sent in small batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec

from agentd.runners.protocol import (
    ApprovalRequested,
    Event,
    LimitNoticed,
    RetryNoticed,
    TextSaid,
    ToolEnded,
    ToolStarted,
)
from common.client import HubError, HubUnreachableError
from common.supervise import Backoff
from common.wire.nodes import Applied, OutputItem, OutputKind, PostOutput

logger = logging.getLogger(__name__)

FLUSH_S = 0.25
RETRY_FIRST_S = 0.5
BATCH_ITEMS = 200
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
        case ApprovalRequested():
            return OutputItem(kind=OutputKind.STATUS, text=f"asks: {event.summary}", at=at)
    return None


class OutputFeed:
    """Collects items and sends them; `run` until `close`. Nothing here may fail an attempt.

    While the hub is away items wait, and beyond MAX_WAITING the oldest are dropped. Items are
    numbered and a batch is frozen once tried, so the hub can drop one that comes twice.
    """

    def __init__(self, fence: int, sink: OutputSink, now: Callable[[], datetime]) -> None:
        self._fence = fence
        self._sink = sink
        self._now = now
        self._waiting: list[OutputItem] = []
        self._first = 0
        self._news = asyncio.Event()
        self._closed = asyncio.Event()
        self.fenced = asyncio.Event()

    def add(self, event: Event) -> None:
        item = output_item(event, self._now())
        if item is None:
            return
        if self._waiting and (merged := _merged(self._waiting[-1], item)):
            self._waiting[-1] = merged
        else:
            self._waiting.append(item)
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[0]
            self._first += 1
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
            batch = PostOutput(first=self._first, items=self._waiting[:BATCH_ITEMS])
            del self._waiting[:BATCH_ITEMS]
            self._first += len(batch.items)
            await self._deliver(batch)

    async def _deliver(self, batch: PostOutput) -> None:
        backoff = Backoff(first_s=RETRY_FIRST_S, cap_s=10.0)
        while True:
            try:
                await self._sink.output(self._fence, batch)
                return
            except HubUnreachableError:
                await asyncio.sleep(backoff.next_s())
            except HubError as error:
                if error.hub_status == 409:
                    self.fenced.set()
                    return
                if error.hub_status < 500:
                    logger.warning(
                        "output refused", extra={"fence": self._fence, "error": error.message}
                    )
                    return
                await asyncio.sleep(backoff.next_s())


def _merged(last: OutputItem, item: OutputItem) -> OutputItem | None:
    """Text pieces that wait together are one item: a model writes in crumbs."""
    if last.kind is not item.kind or item.kind not in (OutputKind.TEXT, OutputKind.THINKING):
        return None
    if len(last.text) + len(item.text) > TEXT_CHARS:
        return None
    return msgspec.structs.replace(last, text=last.text + item.text)
