"""Results on disk until the hub has them: nothing an attempt found out is lost to an outage.

One private file a fence, written whole or not at all, removed only when the hub answered for it.
One that the disk does not take waits in memory.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from agentd.fitting import fit
from common.client import HubError, HubUnreachableError
from common.paths import make_private_dir, write_private_file
from common.supervise import Backoff
from common.wire.nodes import Applied, PostResult
from common.wire.tasks import Outcome

logger = logging.getLogger(__name__)

SUFFIX = ".result.json"
REFUSED = ".refused"
UNREADABLE = ".unreadable"

TEXT_BYTES = 850_000
"""Of the hub's 1 MiB for a request, with the rest of the result beside it."""
SHORT_BYTES = 20_000
ERROR_BYTES = 8_000

UNWANTED = frozenset({"fenced", "conflict"})
"""The hub's own words for an attempt that is over or never began."""
UNFIT = frozenset({"bad_request", "invalid", "too_large"})
"""Its words for a result it cannot take as it is. Any other answer may pass, as what some other
server at its address says: the result waits."""


class ResultSink(Protocol):
    """What the spool needs of the hub."""

    async def result(self, fence: int, result: PostResult) -> Applied: ...


class Spool:
    """The results of one node that the hub has not acknowledged."""

    def __init__(self, folder: Path, sink: ResultSink) -> None:
        self._folder = make_private_dir(folder)
        self._sink = sink
        self._held: dict[int, PostResult] = {}
        self._news = asyncio.Event()
        self._emptied = asyncio.Event()
        if self.fences():
            self._news.set()
        else:
            self._emptied.set()

    def fences(self) -> list[int]:
        """Fences with an undelivered result, oldest first."""
        names = (path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))
        return sorted({*self._held, *(int(name) for name in names if name.isdigit())})

    def put(self, fence: int, result: PostResult) -> bool:
        """Keep a result; the first one of a fence counts, as it does at the hub. False where it
        is in memory only, because the disk does not take it."""
        self._emptied.clear()
        self._news.set()
        if fence in self._held or self._path(fence).exists():
            return fence not in self._held
        return self._write(fence, fitted(result))

    def _write(self, fence: int, result: PostResult) -> bool:
        try:
            write_private_file(self._path(fence), msgspec.json.encode(result).decode())
        except OSError:
            if fence not in self._held:
                logger.exception("result kept in memory", extra={"fence": fence})
            self._held[fence] = result
            return False
        self._held.pop(fence, None)
        return True

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
        for fence, result in tuple(self._held.items()):
            self._write(fence, result)
        waits: HubError | None = None
        for fence in self.fences():
            try:
                await self._deliver_one(fence)
            except HubError as error:
                waits = error
        if waits is not None:
            raise waits
        if not self.fences():
            self._emptied.set()

    async def emptied(self) -> None:
        """Wait until everything is delivered."""
        await self._emptied.wait()

    async def _deliver_one(self, fence: int) -> None:
        result = self._held.get(fence) or self._read(fence)
        if result is None:
            return
        if await self._say(fence, result):
            self._forget(fence)
            return
        for said in (shorter(result), bare(result)):
            if await self._say(fence, said):
                break
        self._set_aside(fence, REFUSED)

    async def _say(self, fence: int, result: PostResult) -> bool:
        """Whether the hub has it, or wants none; False if it cannot take this one."""
        try:
            applied = await self._sink.result(fence, result)
        except HubError as error:
            if error.hub_code not in UNWANTED | UNFIT:
                raise
            told = {"fence": fence, "code": error.hub_code, "error": error.message}
            logger.warning("result refused", extra=told)
            return error.hub_code in UNWANTED
        told = {"fence": fence, "outcome": result.outcome, "status": applied.status}
        logger.info("result delivered", extra=told)
        return True

    def _read(self, fence: int) -> PostResult | None:
        try:
            return msgspec.json.decode(self._path(fence).read_bytes(), type=PostResult)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            logger.exception("spooled result unreadable, set aside", extra={"fence": fence})
            self._set_aside(fence, UNREADABLE)
            return None

    def _forget(self, fence: int) -> None:
        self._held.pop(fence, None)
        self._path(fence).unlink(missing_ok=True)

    def _set_aside(self, fence: int, suffix: str) -> None:
        """Out of the way and still there for its owner."""
        self._held.pop(fence, None)
        with suppress(FileNotFoundError):
            self._path(fence).replace(self._path(fence).with_suffix(suffix))

    def _path(self, fence: int) -> Path:
        return self._folder / f"{fence}{SUFFIX}"


def fitted(result: PostResult) -> PostResult:
    """The result with its texts cut to what one request may hold."""
    return replace(
        result,
        text=fit(result.text, TEXT_BYTES, "\n… (the rest was too long to send)"),
        error=fit(result.error, ERROR_BYTES) if result.error else None,
    )


def shorter(result: PostResult) -> PostResult:
    """What to say when the hub refuses a result: the same outcome and cost, little text."""
    note = "\n… (the hub refused the whole text: it is on the node, in its spool)"
    return replace(result, text=fit(result.text, SHORT_BYTES, note), usage=result.usage[:10])


def bare(result: PostResult) -> PostResult:
    """What to say when that is refused as well, so that the task does not wait for ever."""
    return PostResult(
        outcome=Outcome.PERMANENT,
        error=f"its node holds a result ({result.outcome}) that the hub refused; see its log",
        cost_usd=result.cost_usd,
    )
