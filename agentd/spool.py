"""Results on disk until the hub has them: nothing an attempt found out is lost to an outage.

One private file a fence, written whole or not at all, removed only when the hub answered for it.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

import msgspec

from common.client import HubError, HubUnreachableError
from common.paths import make_private_dir, write_private_file
from common.supervise import Backoff
from common.wire.nodes import Applied, PostResult

logger = logging.getLogger(__name__)

SUFFIX = ".result.json"


class ResultSink(Protocol):
    """What the spool needs of the hub."""

    async def result(self, fence: int, result: PostResult) -> Applied: ...


class Spool:
    """The results of one node that the hub has not acknowledged."""

    def __init__(self, folder: Path, sink: ResultSink) -> None:
        self._folder = make_private_dir(folder)
        self._sink = sink
        self._news = asyncio.Event()
        self._emptied = asyncio.Event()
        if self.fences():
            self._news.set()
        else:
            self._emptied.set()

    def fences(self) -> list[int]:
        """Fences with an undelivered result, oldest first."""
        names = (path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))
        return sorted(int(name) for name in names if name.isdigit())

    def put(self, fence: int, result: PostResult) -> None:
        """Keep a result; the first one of a fence counts, as it does at the hub."""
        path = self._path(fence)
        if not path.exists():
            write_private_file(path, msgspec.json.encode(result).decode())
        self._emptied.clear()
        self._news.set()

    async def run(self) -> None:
        """Deliver whatever comes, and again what the hub could not take."""
        backoff = Backoff(first_s=0.3, cap_s=5.0)
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.deliver()
                backoff.reset()
            except (HubUnreachableError, HubError) as error:
                logger.debug("results wait for the hub", extra={"error": error.message})
                self._news.set()
                await asyncio.sleep(backoff.next_s())

    async def deliver(self) -> None:
        """Try every result once; raises HubUnreachableError or HubError if one must wait."""
        for fence in self.fences():
            await self._deliver_one(fence)
        if not self.fences():
            self._emptied.set()

    async def emptied(self) -> None:
        """Wait until everything is delivered."""
        await self._emptied.wait()

    async def _deliver_one(self, fence: int) -> None:
        path = self._path(fence)
        try:
            result = msgspec.json.decode(path.read_bytes(), type=PostResult)
        except (OSError, msgspec.DecodeError):
            logger.exception("spooled result unreadable, set aside", extra={"fence": fence})
            path.replace(path.with_suffix(".unreadable"))
            return
        try:
            applied = await self._sink.result(fence, result)
        except HubError as error:
            if error.hub_status >= 500 or error.hub_status in (401, 408, 426, 429):
                raise
            logger.warning(
                "result refused",
                extra={"fence": fence, "code": error.hub_code, "error": error.message},
            )
        else:
            logger.info(
                "result delivered",
                extra={"fence": fence, "outcome": result.outcome, "status": applied.status},
            )
        path.unlink(missing_ok=True)

    def _path(self, fence: int) -> Path:
        return self._folder / f"{fence}{SUFFIX}"
