"""The loops that say what is to be said, one for each conversation: one bubble at a time, its
intent on the disk first.

A text that may have left is never sent again by itself. The one exception is a crash of the bridge
between intent and proof: when no row came, the bubble is sent once more, marked as a possible
repeat.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from common.clock import Clock
from common.handles import address_of
from common.supervise import Backoff
from common.wire.messages import BridgeProblem
from imsgd.bell import Bell
from imsgd.chatdb.database import ChatDatabase
from imsgd.chatdb.link import ChatLink
from imsgd.domain.chunks import chunked
from imsgd.domain.handles import AllowList
from imsgd.domain.outcome import NO_SUCH_OBJECT, NOT_AUTHORISED, Attempt, ScriptResult, classify
from imsgd.domain.plain import to_plain
from imsgd.domain.words import fingerprint, pieces
from imsgd.errors import ChatDbBusyError, ChatDbError
from imsgd.health import Health
from imsgd.lanes import Lanes
from imsgd.ledger import speaking
from imsgd.ledger.database import Ledger
from imsgd.ledger.speaking import Bubble, BubbleState, Intent, Item
from imsgd.osascript import SEND_TO_CHAT, SEND_TO_PARTICIPANT, Osascript
from imsgd.pace import Pace
from imsgd.verifier import Verifier

logger = logging.getLogger(__name__)

AGAIN_MARK = "(possibly a repeat) "
RETRY_FIRST_S = 1.0
RETRY_CAP_S = 30.0
GAP_S = 0.1
"""Between two bubbles."""

AUTOMATION_PROBLEM = "automation_denied"
OSASCRIPT_PROBLEM = "osascript"


@dataclass(frozen=True, slots=True)
class Manner:
    allow: AllowList
    chunk_chars: int


class Sender:
    """`offered` is rung when there may be something to say."""

    def __init__(
        self,
        chat_db: Path,
        manner: Manner,
        *,
        osascript: Osascript,
        ledger: Ledger,
        verifier: Verifier,
        health: Health,
        clock: Clock,
        pace: Pace,
        offered: Bell,
    ) -> None:
        self._manner = manner
        self._osascript = osascript
        self._ledger = ledger
        self._verifier = verifier
        self._health = health
        self._clock = clock
        self._pace = pace
        self._link = ChatLink(chat_db, "sender")
        self._offered = offered
        self._going = asyncio.Event()
        self._going.set()
        self._speaking = asyncio.Lock()
        self._between = asyncio.Event()
        self._between.set()

    async def run(self) -> None:
        now = self._clock.now()
        # Whatever was under way when this loop, or the whole bridge, ended may have left.
        await self._ledger.write(lambda c: speaking.orphan_intents(c, now=now))
        async with Lanes("sending", self._say_all, ended=self._offered) as lanes:
            while True:
                heard = self._offered.count
                for item in await self._ledger.read(speaking.open_items):
                    lanes.open(self._lane_of(item))
                await self._offered.after(heard)

    def _lane_of(self, item: Item) -> str:
        return self._manner.allow.conversation(address_of(item.chat) or "")

    async def _say_all(self, conversation: str) -> None:
        """One conversation's replies in their order; another's trouble or pace is not theirs."""
        while True:
            waiting = await self._ledger.read(speaking.open_items)
            item = next((one for one in waiting if self._lane_of(one) == conversation), None)
            if item is None:
                return
            await self._say(item)

    async def stop(self, *, within_s: float) -> None:
        """Begin nothing new, and give what osascript is doing a moment to end."""
        self._going.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._between.wait()
        except TimeoutError:
            logger.warning("stopping while osascript runs")

    async def close(self) -> None:
        await self._link.close()

    async def _say(self, item: Item) -> None:
        if not self._manner.allow.allows_target(item.chat):
            await self._finish(
                item, BubbleState.FAILED, "this conversation is not on the allow-list"
            )
            return
        chunks = chunked(to_plain(item.text or ""), limit=self._manner.chunk_chars)
        if not chunks:
            await self._finish(item, BubbleState.FAILED, "there is nothing to send")
            return
        await self._keep_pace(item)
        for part, text in enumerate(chunks):
            bubble = await self._say_part(item, part, text)
            if bubble.state in (BubbleState.FAILED, BubbleState.UNKNOWN):
                await self._finish(item, bubble.state, speaking.located(bubble, len(chunks)))
                return
        await self._ledger.write(lambda c: speaking.prove_item(c, item.id))
        self._verifier.moved.ring()

    async def _finish(self, item: Item, state: BubbleState, error: str | None) -> None:
        await self._ledger.write(lambda c: speaking.finish_item(c, item.id, state, error))
        logger.info("reply settled", extra={"item": item.hub_id, "state": state, "error": error})
        self._verifier.moved.ring()

    async def _say_part(self, item: Item, part: int, text: str) -> Bubble:
        """Bring one bubble as far as its row, or to where it cannot be helped."""
        bubbles = await self._ledger.read(lambda c: speaking.bubbles_of(c, item.id))
        latest = [bubble for bubble in bubbles if bubble.part == part][-1:]
        bubble = latest[0] if latest else None
        if bubble is None or bubble.state is BubbleState.NOT_STARTED:
            again = bool(bubble and bubble.again)
            marked = AGAIN_MARK + text if again else text
            bubble = await self._send(item, part, marked, again=again)
        bubble = await self._await_row(bubble)
        if bubble.state is BubbleState.LOST:
            late = await self._ledger.read(lambda c: speaking.arrived(c, item.id, part))
            if late is not None:
                return late
            if bubble.again:
                return await self._give_up(bubble)
            logger.warning("sending once more after a crash", extra={"item": item.hub_id})
            bubble = await self._send(item, part, AGAIN_MARK + text, again=True)
            bubble = await self._await_row(bubble)
        return bubble

    async def _give_up(self, bubble: Bubble) -> Bubble:
        now = self._clock.now()

        def give_up(connection: sqlite3.Connection) -> Bubble:
            error = "the bridge was stopped twice while sending it"
            speaking.move(connection, bubble.id, BubbleState.UNKNOWN, now=now, error=error)
            return speaking.bubble(connection, bubble.id)

        return await self._ledger.write(give_up)

    async def _await_row(self, bubble: Bubble) -> Bubble:
        bubble_id = bubble.id
        while bubble.state in (BubbleState.HANDED, BubbleState.ORPHANED):
            heard = self._verifier.moved.count
            bubble = await self._ledger.read(lambda c: speaking.bubble(c, bubble_id))
            if bubble.state in (BubbleState.HANDED, BubbleState.ORPHANED):
                await self._verifier.moved.after(heard)
        return bubble

    async def _send(self, item: Item, part: int, text: str, *, again: bool) -> Bubble:
        """Hand one bubble over, however long it takes until something was handed over."""
        backoff = Backoff(first_s=RETRY_FIRST_S, cap_s=RETRY_CAP_S)
        while True:
            bubble, result = await self._try(item, part, text, again=again)
            if bubble.state is not BubbleState.NOT_STARTED:
                self._health.end(AUTOMATION_PROBLEM, OSASCRIPT_PROBLEM)
                return bubble
            self._report(result)
            await asyncio.sleep(backoff.next_s())

    async def _try(
        self, item: Item, part: int, text: str, *, again: bool
    ) -> tuple[Bubble, ScriptResult]:
        """One osascript run, its intent written before and its outcome after. One at a time: for
        two at once Messages is not known to keep the order."""
        async with self._speaking:
            return await self._try_alone(item, part, text, again=again)

    async def _try_alone(
        self, item: Item, part: int, text: str, *, again: bool
    ) -> tuple[Bubble, ScriptResult]:
        await self._going.wait()
        await asyncio.sleep(GAP_S)
        top = await self._top(item.chat)
        conversation = self._manner.allow.conversation(address_of(item.chat) or "")
        intent = Intent(
            item.id, part, conversation, fingerprint(text), top.rowid, top.identity, again,
            pieces=tuple(fingerprint(piece) for piece in pieces(text)),
        )  # fmt: skip
        now = self._clock.now()
        self._between.clear()
        try:
            bubble_id = await self._ledger.write(lambda c: speaking.intend(c, intent, now=now))
            result = await self._attempt(item.chat, text, single=top.single)
            return await self._record(bubble_id, result), result
        finally:
            self._between.set()

    async def _record(self, bubble_id: int, result: ScriptResult) -> Bubble:
        match classify(result):
            case Attempt.HANDED_OVER:
                return await self._moved(bubble_id, BubbleState.HANDED, None)
            case Attempt.MAY_HAVE_COMPLETED:
                return await self._moved(bubble_id, BubbleState.HANDED, _failure(result))
            case Attempt.NOT_STARTED:
                unknown = result.error_number == NO_SUCH_OBJECT
                state = BubbleState.FAILED if unknown else BubbleState.NOT_STARTED
                return await self._moved(bubble_id, state, _failure(result))

    async def _keep_pace(self, item: Item) -> None:
        """The bridge's own words, which are few and urgent, do not wait."""
        conversation = self._manner.allow.conversation(address_of(item.chat) or "")
        while item.hub_id is not None and (
            wait_s := self._pace.wait_s(conversation, now=self._clock.monotonic())
        ):
            logger.info("keeping the pace", extra={"wait_s": round(wait_s, 1)})
            await asyncio.sleep(wait_s)
        self._pace.took(conversation, now=self._clock.monotonic())

    async def _top(self, chat_guid: str) -> _Top:
        """Where chat.db ends now. Without it nothing could be proven, so nothing is sent."""
        backoff = Backoff(first_s=RETRY_FIRST_S, cap_s=RETRY_CAP_S)
        while True:
            try:
                await self._link.renew()
                return await self._link.ask(lambda db: _top_of(db, chat_guid, self._manner.allow))
            except (ChatDbError, ChatDbBusyError) as error:
                logger.warning("not sending without chat.db", extra={"error": error.message})
                await asyncio.sleep(backoff.next_s())

    async def _attempt(self, chat: str, text: str, *, single: bool) -> ScriptResult:
        """Run osascript, and once more by address if the chat is unknown to Messages itself."""
        address = address_of(chat)
        # The last look before a text leaves this machine.
        if address is None or not self._manner.allow.allows_target(chat):
            return ScriptResult(None, f"refused ({NO_SUCH_OBJECT})", started=False)
        if chat == address:
            return await self._osascript.run(SEND_TO_PARTICIPANT, text, address)
        result = await self._osascript.run(SEND_TO_CHAT, text, chat)
        not_started = classify(result) is Attempt.NOT_STARTED
        if single and not_started and result.error_number == NO_SUCH_OBJECT:
            logger.info("chat unknown to Messages, sending by address")
            return await self._osascript.run(SEND_TO_PARTICIPANT, text, address)
        return result

    async def _moved(self, bubble_id: int, state: BubbleState, error: str | None) -> Bubble:
        now = self._clock.now()

        def change(connection: sqlite3.Connection) -> Bubble:
            speaking.move(connection, bubble_id, state, now=now, error=error)
            return speaking.bubble(connection, bubble_id)

        bubble = await self._ledger.write(change)
        self._verifier.wanted.ring()
        return bubble

    def _report(self, result: ScriptResult) -> None:
        if result.error_number == NOT_AUTHORISED:
            self._health.begin(automation_denied())
            return
        self._health.begin(
            BridgeProblem(
                id=OSASCRIPT_PROBLEM,
                text=f"Replies wait because Messages cannot be reached: {_failure(result)}",
                remedy="Open Messages and check that it is signed in to iMessage.",
            )
        )


def automation_denied() -> BridgeProblem:
    return BridgeProblem(
        id=AUTOMATION_PROBLEM,
        text="macOS does not let this program control Messages, so replies wait.",
        remedy="Open System Settings, Privacy & Security, Automation, and switch Messages on "
        "below the program that started the bridge.",
    )


def _failure(result: ScriptResult) -> str:
    if result.timed_out:
        return "osascript took too long and was ended"
    return result.stderr.strip()[-300:] or f"osascript ended with status {result.status}"


@dataclass(frozen=True, slots=True)
class _Top:
    """`single`: the chat is known to have one participant, so its address is as good."""

    rowid: int
    identity: str
    single: bool


def _top_of(database: ChatDatabase, chat_guid: str, allow: AllowList) -> _Top:
    chat = database.chat(chat_guid)
    single = chat is not None and chat.is_known and not allow.is_group(chat)
    return _Top(database.max_rowid(), database.identity(), single)
