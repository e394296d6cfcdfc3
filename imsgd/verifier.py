"""The loop that proves each bubble by its own row in chat.db, and goes on watching it."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from common.clock import Clock
from imsgd.bell import Bell
from imsgd.chatdb.link import ChatLink
from imsgd.domain.handles import AllowList
from imsgd.domain.proof import EARLY_S, Fate, Wanted, fate_of, find_rows, has_ghost
from imsgd.domain.rows import Row, to_apple_ns
from imsgd.errors import ChatDbBusyError, ChatDbError
from imsgd.ledger import speaking
from imsgd.ledger.database import Ledger
from imsgd.ledger.speaking import Bubble, BubbleState

logger = logging.getLogger(__name__)

TICK_S = 0.1
IDLE_TICK_S = 1.0
LATE_S = 600.0
"""So long after its sending a bubble's row may still appear, or turn into an error."""
UNSENT_S = 60.0
"""A row that Messages has not sent off after that long is reported as unknown."""
ROWS = 2000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a row is waited for: after osascript ended, and after a crash in between."""

    verify_s: float
    orphan_s: float


class Verifier:
    def __init__(
        self,
        chat_db: Path,
        *,
        allow: AllowList,
        ledger: Ledger,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._allow = allow
        self._ledger = ledger
        self._clock = clock
        self._patience = patience
        self._link = ChatLink(chat_db, "verifier")
        self.wanted = Bell()
        """Rung by whoever gave it something to prove."""
        self.moved = Bell()
        """Rung whenever a bubble's state changed."""

    async def run(self) -> None:
        while True:
            heard = self.wanted.count
            watched = await self._watched()
            if watched:
                await self._look(watched)
            busy = any(bubble.state in speaking.WATCHED for bubble in watched)
            tick_s = TICK_S if busy else IDLE_TICK_S
            await self.wanted.after(heard, timeout_s=tick_s if watched else None)

    async def close(self) -> None:
        await self._link.close()

    async def _watched(self) -> list[Bubble]:
        late_since = self._clock.now() - LATE_S
        return await self._ledger.read(lambda c: speaking.watched(c, late_since=late_since))

    async def _look(self, watched: list[Bubble]) -> None:
        missing = [bubble for bubble in watched if bubble.guid is None]
        try:
            await self._link.renew()
            if missing:
                await self._search(missing)
            await self._follow([bubble for bubble in watched if bubble.guid is not None])
        except (ChatDbError, ChatDbBusyError) as error:
            # The reader reports it; until it is mended nothing can be proven either way.
            logger.debug("cannot verify", extra={"error": error.message})

    async def _search(self, missing: list[Bubble]) -> None:
        """Look for rows of bubbles that have none yet, the oldest bubble first."""
        since = min(bubble.at for bubble in missing)
        identity, rows = await self._link.ask(
            lambda db: (db.identity(), db.dated(to_apple_ns(since - EARLY_S), limit=ROWS))
        )
        taken = await self._ledger.read(lambda c: speaking.claimed_guids(c, since=since - LATE_S))
        for bubble in missing:
            before = bubble.rowid_before if bubble.identity == identity else None
            wanted = Wanted(bubble.conversation, bubble.fingerprint, bubble.at, before)
            found = find_rows(rows, wanted, self._allow, taken)
            if not found:
                await self._give_up_in_time(bubble, rows)
            else:
                taken.update(row.guid for row in found)
                await self._settle(await self._seen(bubble, found), found[0])

    async def _follow(self, seen: list[Bubble]) -> None:
        """Look at rows found before: whether they count as sent, or failed after all."""
        rowids = [bubble.message_rowid for bubble in seen if bubble.message_rowid is not None]
        rows = await self._link.ask(lambda db: db.with_rowids(rowids))
        by_guid = {row.guid: row for row in rows}
        for bubble in seen:
            await self._settle(bubble, by_guid.get(bubble.guid or ""))

    async def _seen(self, bubble: Bubble, found: list[Row]) -> Bubble:
        now, row = self._clock.now(), found[0]

        def note(connection: sqlite3.Connection) -> None:
            speaking.note_row(connection, bubble.id, guid=row.guid, rowid=row.rowid, now=now)
            for further in found[1:]:
                speaking.note_guid(connection, bubble.id, further.guid)

        await self._ledger.write(note)
        self.moved.ring()
        return replace(bubble, state=BubbleState.SEEN, guid=row.guid, seen_at=now)

    async def _settle(self, bubble: Bubble, row: Row | None) -> None:
        seen_for_s = self._clock.now() - (bubble.seen_at or bubble.at)
        fate = Fate.OPEN if row is None else fate_of(row, seen_for_s=seen_for_s)
        if fate is Fate.FAILED and row is not None:
            await self._move(bubble, BubbleState.FAILED, f"not delivered (error {row.error})")
        elif fate is Fate.SENT and bubble.state is not BubbleState.SENT:
            await self._move(bubble, BubbleState.SENT)
        elif bubble.state is BubbleState.SEEN and seen_for_s > UNSENT_S:
            await self._move(bubble, BubbleState.UNKNOWN, "Messages has not sent it off yet")

    async def _give_up_in_time(self, bubble: Bubble, rows: list[Row]) -> None:
        waited_s = self._clock.now() - (bubble.verify_from or bubble.at)
        if bubble.state is BubbleState.ORPHANED and waited_s > self._patience.orphan_s:
            await self._move(bubble, BubbleState.LOST)
        elif bubble.state is BubbleState.HANDED and waited_s > self._patience.verify_s:
            if bubble.error is None and has_ghost(rows, since=bubble.at):
                await self._move(
                    bubble, BubbleState.FAILED, "Messages took the text and wrote an empty message"
                )
            else:
                await self._move(
                    bubble, BubbleState.UNKNOWN, "Messages shows no such message; it may have left"
                )

    async def _move(self, bubble: Bubble, state: BubbleState, error: str | None = None) -> None:
        """Write the new state; a reply that was settled already is settled anew and reported."""
        now = self._clock.now()
        if error is not None and bubble.error is not None:
            error = f"{bubble.error}; {error}"

        def change(connection: sqlite3.Connection) -> None:
            speaking.move(connection, bubble.id, state, now=now, error=error)
            speaking.revise_item(connection, bubble.item_id)

        await self._ledger.write(change)
        self.moved.ring()
        logger.info(
            "bubble settled",
            extra={"item": bubble.item_id, "part": bubble.part, "state": state, "error": error},
        )
