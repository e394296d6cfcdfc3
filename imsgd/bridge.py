"""The bridge put together: its loops, each restarted alone, and how they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common.client.bridge import BridgeApi
from common.clock import Clock
from common.config import BridgeConfig
from common.supervise import Backoff, Supervisor
from imsgd.bell import Bell
from imsgd.courier import Courier, LockedOutError
from imsgd.domain.handles import AllowList
from imsgd.health import Health
from imsgd.inbox import Inbox
from imsgd.ledger import hearing, speaking
from imsgd.ledger.database import Ledger
from imsgd.osascript import Osascript
from imsgd.pace import Pace
from imsgd.reader import Policy, Reader
from imsgd.sender import Manner, Sender
from imsgd.verifier import Patience, Verifier

logger = logging.getLogger(__name__)

STOP_SENDING_S = 1.0
TIDY_EVERY_S = 3600.0
RESTART_CAP_S = 10.0


@dataclass(frozen=True, slots=True)
class Parts:
    reader: Reader
    sender: Sender
    verifier: Verifier
    courier: Courier
    ledger: Ledger


def assemble(
    config: BridgeConfig, *, api: BridgeApi, ledger: Ledger, clock: Clock, env: Mapping[str, str]
) -> Parts:
    """Build the loops; nothing runs yet."""
    allow = AllowList.of(own=config.self_handles, others=config.allow)
    chat_db = Path(config.chat_db).expanduser()
    health, inbox, offered = Health(), Inbox(), Bell()
    reader = Reader(
        chat_db,
        Policy(allow, poll_s=config.poll_ms / 1000, late_s=config.freshness_s),
        ledger=ledger,
        inbox=inbox,
        health=health,
        clock=clock,
        offered=offered,
    )
    patience = Patience(config.verify_s, orphan_s=config.send_timeout_s + config.verify_s)
    verifier = Verifier(chat_db, allow=allow, ledger=ledger, clock=clock, patience=patience)
    sender = Sender(
        chat_db,
        Manner(allow, config.chunk_chars),
        osascript=Osascript(config.osascript, config.send_timeout_s, env),
        ledger=ledger,
        verifier=verifier,
        health=health,
        clock=clock,
        pace=Pace(config.max_per_minute),
        offered=offered,
    )
    courier = Courier(
        api,
        reader=reader,
        inbox=inbox,
        ledger=ledger,
        clock=clock,
        offered=offered,
        settled=verifier.moved,
        health=health,
    )
    return Parts(reader, sender, verifier, courier, ledger)


async def run(parts: Parts, stop: asyncio.Event, *, clock: Clock) -> None:
    """Run every loop until `stop` is set; raises LockedOutError when the hub refuses the token."""
    supervisor = Supervisor(
        clock=clock, backoff=lambda: Backoff(cap_s=RESTART_CAP_S), fatal=(LockedOutError,)
    )
    loops = {
        "reader": parts.reader.run,
        "sender": parts.sender.run,
        "verifier": parts.verifier.run,
        "deliver": parts.courier.deliver,
        "claim": parts.courier.claim,
        "report": parts.courier.report,
        "heartbeat": parts.courier.heartbeat,
        "tidy": lambda: _tidy(parts.ledger, clock),
    }
    running = asyncio.create_task(supervisor.run(loops), name="loops")
    stopping = asyncio.create_task(stop.wait(), name="stop signal")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await parts.sender.stop(within_s=STOP_SENDING_S)
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait({running, stopping})
        await _close(parts)
    if not running.cancelled() and (error := running.exception()) is not None:
        raise _only(error)


async def _close(parts: Parts) -> None:
    await parts.courier.farewell()
    await parts.reader.close()
    await parts.sender.close()
    await parts.verifier.close()
    await parts.ledger.close()


async def _tidy(ledger: Ledger, clock: Clock) -> None:
    while True:
        now = clock.now()
        await ledger.write(partial(hearing.forget_before, now=now))
        await ledger.write(partial(speaking.forget_before, now=now))
        await asyncio.sleep(TIDY_EVERY_S)


def _only(error: BaseException) -> BaseException:
    """The fatal error itself, out of the group the supervisor wraps it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
