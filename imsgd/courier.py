"""The loops between the bridge and the hub: texts in, replies out, reports, and how it fares."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from common.client.bridge import BridgeApi
from common.client.http import HubError, HubUnreachableError
from common.clock import Clock, to_datetime
from common.errors import EXIT_CONFIG
from common.supervise import Backoff
from common.version import VERSION
from common.wire.messages import (
    BridgeProblem,
    BridgeReport,
    ClaimOutbox,
    InboundMessage,
    MessageReceipt,
    OutboxOutcome,
)
from imsgd import files
from imsgd.bell import Bell
from imsgd.domain.admission import Refusal
from imsgd.domain.attachments import MAX_FILES
from imsgd.domain.words import fingerprint
from imsgd.errors import BridgeError
from imsgd.health import Health
from imsgd.inbox import Inbound, Inbox
from imsgd.lanes import Lanes
from imsgd.ledger import hearing, speaking
from imsgd.ledger.database import Ledger
from imsgd.ledger.speaking import Bubble, Item
from imsgd.reader import Reader

logger = logging.getLogger(__name__)

CLAIM_WAIT_S = 25.0
HEARTBEAT_S = 10.0
RETRY_CAP_S = 5.0
STALE_AFTER_S = 1.0
"""An input that waited longer is read again before it is delivered: it may have been edited."""
REPORT_FIRST_S = 5.0
"""So long a text waits for the report on a bubble above it."""
PROOF_FIRST_S = 2.0
"""The same while it is not even proven that there is such a bubble."""
REPORT_TICK_S = 0.02
FAREWELL_S = 0.5
MAX_TEXT = 200_000
"""What the hub takes."""

UNHEARD_PROBLEM = "hub_ignores"
PANIC_ANSWER = "The hub does not answer. I will tell it to stop everything as soon as it does."

_REFUSED = frozenset({400, 409, 413, 422})
"""Answers that the same request will get for ever."""
_NO_ROOM = frozenset({507})
TOO_SLOW = 408
FILE_TRIES = 3
_LOCKED_OUT = frozenset({401, 403})


class LockedOutError(BridgeError):
    """The hub does not accept this bridge's token."""

    code = "locked_out"
    exit_code = EXIT_CONFIG


@dataclass(slots=True)
class Missed:
    """What a text went without: `lost` cannot be handed on, `late` may still come."""

    lost: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    awaited: list[int] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [*self.lost, *self.late]

    def __bool__(self) -> bool:
        return bool(self.names)

    def said(self) -> list[str]:
        """What its author is told."""
        texts = []
        if self.lost:
            texts.append(f"Your text went without {', '.join(self.lost)}: I could not hand it on.")
        if self.late:
            texts.append(
                f"Your text went without {', '.join(self.late)}, which did not arrive on this Mac. "
                "If it still comes I add it; else send it again."
            )
        return texts


class Courier:
    def __init__(
        self,
        api: BridgeApi,
        *,
        reader: Reader,
        inbox: Inbox,
        ledger: Ledger,
        clock: Clock,
        offered: Bell,
        settled: Bell,
        health: Health,
    ) -> None:
        self._api = api
        self._reader = reader
        self._inbox = inbox
        self._ledger = ledger
        self._clock = clock
        self._offered = offered
        self._settled = settled
        self._health = health
        self._was_in = False
        self._outage: str | None = None
        self._unheard: str | None = None
        self._slow_files: Counter[str] = Counter()

    async def deliver(self) -> None:
        """Bring every input to the hub until it has acknowledged each, those of one conversation
        in order: a slow file of one does not hold up another."""
        async with Lanes("delivering", self._deliver_lane, ended=self._inbox.filled) as lanes:
            while True:
                heard = self._inbox.filled.count
                for lane in self._inbox.lanes:
                    lanes.open(lane)
                await self._inbox.filled.after(heard)

    async def _deliver_lane(self, lane: str) -> None:
        backoff, waited = Backoff(cap_s=RETRY_CAP_S), False
        while (item := self._inbox.first(lane)) is not None:
            heard = self._inbox.filled.count
            try:
                await self._deliver_one(item, waited=waited)
                backoff.reset()
            except (HubError, HubUnreachableError) as error:
                self._note("deliver", error)
                waited = True
                if item.is_panic:
                    await self._answer_panic(item)
                # An order to stop must not wait for the end of this pause.
                await self._inbox.filled.after(heard, timeout_s=backoff.next_s())

    async def claim(self) -> None:
        """Fetch replies as soon as there are any."""
        backoff = Backoff(cap_s=RETRY_CAP_S)
        while True:
            try:
                claimed = await self._api.claim(ClaimOutbox(wait_s=CLAIM_WAIT_S))
            except (HubError, HubUnreachableError) as error:
                await self._pause("claim", error, backoff)
                continue
            backoff.reset()
            now = self._clock.now()
            for item in claimed.items:
                await self._ledger.write(partial(speaking.accept, offered=item, now=now))
            if claimed.items:
                self._offered.ring()
                self._settled.ring()  # a reply settled before may have come again

    async def report(self) -> None:
        """Tell the hub what became of each reply, until it has heard it."""
        backoff = Backoff(cap_s=RETRY_CAP_S)
        while True:
            heard = self._settled.count
            try:
                for item, bubbles in await self._ledger.read(speaking.unreported):
                    await self._report_one(item, bubbles)
            except (HubError, HubUnreachableError) as error:
                await self._pause("report", error, backoff)
                continue
            backoff.reset()
            await self._settled.after(heard)

    async def heartbeat(self) -> None:
        """Say how the bridge fares, every few seconds and whenever that changes.

        The first report means that the bridge listens: nothing written after it goes unheard.
        """
        await self._reader.looked.wait()
        while True:
            heard = self._health.changed.count
            try:
                await self._api.report(self._health.report())
                self._heard_from_hub()
            except (HubError, HubUnreachableError) as error:
                self._note("heartbeat", error)
            await self._health.changed.after(heard, timeout_s=HEARTBEAT_S)

    async def farewell(self) -> None:
        """Tell the hub that the bridge stops; it is no matter if it does not hear it."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._api.report(BridgeReport(state="down", version=VERSION))
        except (TimeoutError, HubError, HubUnreachableError):
            logger.info("stopped without telling the hub")

    async def _deliver_one(self, item: Inbound, *, waited: bool) -> None:
        waited = waited or self._clock.now() - item.queued_at > STALE_AFTER_S
        if item.change is None and waited:
            current = await self._reader.current(item)
            if current is None:
                logger.info("input taken back before delivery", extra={"guid": item.guid})
                await self._settle(item, Refusal.UNSENT)
                return
            if current.text != item.text:
                key = fingerprint(current.text)
                await self._ledger.write(partial(hearing.reword, guid=item.guid, key=key))
            item = current
        if not item.is_panic:
            await self._let_reports_go_first(item)
        missed = Missed()
        try:
            receipt = await self._api.deliver(await self._message(item, missed))
        except HubError as error:
            if error.hub_status not in _REFUSED:
                raise
            logger.error("input refused", extra={"guid": item.guid, "error": error.message})
            await self._settle(item, "refused by the hub")
            return
        self._heard_from_hub()
        self._note_receipt(item, receipt)
        logger.info(
            "input delivered",
            extra={"guid": item.guid, "status": receipt.status, "task": receipt.task_id},
        )
        await self._settle(item, hearing.INPUT)
        if missed:
            await self._say_missed(item, missed)

    def _note_receipt(self, item: Inbound, receipt: MessageReceipt) -> None:
        """A text that only this side allows must not vanish in silence."""
        if receipt.status != "ignored":
            if self._unheard == item.sender:
                self._health.end(UNHEARD_PROBLEM)
            return
        self._unheard = item.sender
        self._health.begin(
            BridgeProblem(
                id=UNHEARD_PROBLEM,
                text=f"The hub does not listen to {item.sender}: its text was dropped.",
                remedy="On the hub's machine put it into bridge.allow too, then mesh restart hubd.",
            )
        )

    async def _let_reports_go_first(self, item: Inbound) -> None:
        """An answer means nothing to a hub that was not told of the question above it."""
        deadline = self._clock.monotonic() + REPORT_FIRST_S
        above = partial(speaking.untold_before, conversation=item.conversation, rowid=item.rowid)
        while self._clock.monotonic() < deadline:
            untold = await self._ledger.read(above)
            proven = any(bubble.guid is not None for bubble in untold)
            waited_s = self._clock.now() - item.queued_at
            if not untold or (not proven and waited_s > PROOF_FIRST_S):
                return
            await asyncio.sleep(REPORT_TICK_S)

    async def _settle(self, item: Inbound, verdict: str) -> None:
        if item.change is not None and item.changes is not None:
            settled = partial(
                hearing.settle_change, guid=item.changes, change=item.change, key=item.key
            )
            await self._ledger.write(settled)
        else:
            await self._ledger.write(partial(hearing.settle, guid=item.guid, verdict=verdict))
        self._inbox.remove(item.guid)

    async def _say_missed(self, item: Inbound, missed: Missed) -> None:
        now = self._clock.now()

        def say(connection: sqlite3.Connection) -> None:
            hearing.await_files(connection, item.guid, missed.awaited, now=now)
            for text in missed.said():
                speaking.say(connection, item.chat, text, now=now)

        await self._ledger.write(say)
        self._offered.ring()

    async def _message(self, item: Inbound, missed: Missed) -> InboundMessage:
        reply_to = item.reply_to
        if reply_to is not None:
            # The hub knows a bubble by one guid; a text to oneself has two.
            reply_to = (
                await self._ledger.read(partial(hearing.primary_guid, guid=reply_to)) or reply_to
            )
        handed = await self._hand_on_files(item, missed) if item.has_files else []
        return InboundMessage(
            guid=item.guid,
            chat=item.chat,
            sender=item.sender,
            text=item.text[:MAX_TEXT],
            files=handed,
            lost_files=missed.names[:MAX_FILES],
            change=item.change,
            changes=item.changes,
            sent_at=to_datetime(item.sent_at),
            reply_to=reply_to,
            tapback=item.tapback,
            order=item.rowid,
        )

    async def _hand_on_files(self, item: Inbound, missed: Missed) -> list[str]:
        """The hub's id of each file that came with a text and can be handed on; those
        that cannot are `missed`. The texts behind must not wait for a slow one for ever."""
        handed: list[str] = []
        there, not_there = await self._reader.files(item)
        missed.late = [one.shown_name for one in not_there]
        missed.awaited = [one.rowid for one in not_there]
        for attachment in there:
            file = await files.load(attachment)
            if file is None:
                missed.lost.append(attachment.shown_name)
                continue
            try:
                file_id = await self._api.put_file(
                    file.content, name=file.name, media_type=file.media_type
                )
            except HubError as error:
                self._slow_files[item.guid] += error.hub_status == TOO_SLOW
                slow = self._slow_files[item.guid] >= FILE_TRIES
                if not slow and error.hub_status not in _REFUSED | _NO_ROOM:
                    raise
                logger.warning("file refused", extra={"guid": item.guid, "error": error.message})
                missed.lost.append(file.name[-200:])
                continue
            handed.append(file_id)
        del self._slow_files[item.guid]
        return handed

    async def _answer_panic(self, item: Inbound) -> None:
        """`stop all` while the hub is away: its author must know that nothing stopped yet."""
        now = self._clock.now()

        def note(connection: sqlite3.Connection) -> None:
            if hearing.note_panic(connection, item.guid, now=now):
                speaking.say(connection, item.chat, PANIC_ANSWER, now=now)

        await self._ledger.write(note)
        self._offered.ring()

    async def _report_one(self, item: Item, bubbles: list[Bubble]) -> None:
        """One report; an item the hub knows nothing of any more counts as reported."""
        found = [bubble for bubble in bubbles if bubble.guid is not None]
        outcome = OutboxOutcome(
            outcome=item.state,
            guid=found[0].guid if found else None,
            guids=[bubble.guid for bubble in found if bubble.guid is not None],
            error=item.error,
            claim=item.claim,
            maybe_duplicate=item.maybe_duplicate,
            order=found[0].message_rowid if found else None,
        )
        try:
            await self._api.report_sent(item.hub_id or 0, outcome)
        except HubError as error:
            if error.hub_status not in _REFUSED | {404}:
                raise
            logger.warning("report refused", extra={"item": item.hub_id, "error": error.message})
        await self._ledger.write(partial(speaking.mark_reported, item=item))

    async def _pause(
        self, what: str, error: HubError | HubUnreachableError, backoff: Backoff
    ) -> None:
        self._note(what, error)
        await asyncio.sleep(backoff.next_s())

    def _note(self, what: str, error: HubError | HubUnreachableError) -> None:
        """Log once per outage; LockedOutError for a token that never worked."""
        locked_out = isinstance(error, HubError) and error.hub_status in _LOCKED_OUT
        if locked_out and not self._was_in:
            raise LockedOutError(
                f"the hub refuses this bridge's token: {error.message} "
                "On the hub run: mesh token new --role bridge"
            )
        if self._outage != error.message:
            self._outage = error.message
            logger.warning("hub away", extra={"call": what, "error": error.message})

    def _heard_from_hub(self) -> None:
        self._was_in = True
        if self._outage is not None:
            self._outage = None
            logger.info("hub answers")
