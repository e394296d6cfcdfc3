"""What becomes of an input after the hub has it: an edit, its withdrawal, a file that came late.

Messages changes the row in its place, so nothing new is scanned: the rows of recent inputs are
looked at again whenever chat.db changed. Each change is in the ledger before it is queued.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from common.clock import Clock
from common.wire.messages import Change
from imsgd.chatdb.link import ChatLink
from imsgd.domain.admission import Admit, Drop, Refusal, Verdict
from imsgd.domain.rows import Row
from imsgd.domain.words import fingerprint, visible
from imsgd.inbox import Inbound, Inbox
from imsgd.ledger import hearing
from imsgd.ledger.database import Ledger

logger = logging.getLogger(__name__)

WATCH_S = 3600.0
"""An edit is possible for a quarter of an hour; a photo may take longer."""

_NO_WORDS = fingerprint("")

Judge = Callable[[Row], Verdict]


class ChangeWatch:
    def __init__(self, *, link: ChatLink, ledger: Ledger, inbox: Inbox, clock: Clock) -> None:
        self._link = link
        self._ledger = ledger
        self._inbox = inbox
        self._clock = clock

    async def look(self, judge: Judge) -> None:
        """Queue what changed in inputs that the hub has."""
        since = self._clock.now() - WATCH_S
        known = await self._ledger.read(partial(hearing.delivered_since, since=since))
        if not known:
            return
        rows = await self._link.ask(lambda db: db.with_rowids([one.rowid for one in known]))
        by_guid = {row.guid: row for row in rows}
        for one in known:
            row = by_guid.get(one.guid)
            if row is None:
                continue
            if (found := _changed(row, one.fingerprint)) is not None:
                await self._note(row, *found, judge)
            if one.awaits:
                await self._look_for_files(row, one.awaits, judge)

    async def resume(self, judge: Judge) -> None:
        """Queue again what the hub did not acknowledge before a crash."""
        for guid, change, key in await self._ledger.read(hearing.unsettled_changes):
            row = await self._link.ask(lambda db, guid=guid: db.with_guid(guid))  # type: ignore[misc]
            if row is not None:
                self._queue(row, Change(change), key, judge)

    async def _look_for_files(self, row: Row, awaited: list[int], judge: Judge) -> None:
        files = await self._link.ask(lambda db: db.attachments(row.rowid))
        for file in files:
            if file.is_there and file.is_shown and (file.rowid in awaited or 0 in awaited):
                await self._note(row, Change.FILES, str(file.rowid), judge)

    async def _note(self, row: Row, change: Change, key: str, judge: Judge) -> None:
        now = self._clock.now()

        def note(connection: sqlite3.Connection) -> bool:
            return hearing.note_change(connection, row.guid, change, key, now=now)

        if await self._ledger.write(note):
            logger.info("input changed", extra={"guid": row.guid, "change": change})
            self._queue(row, change, key, judge)

    def _queue(self, row: Row, change: Change, key: str, judge: Judge) -> None:
        # A row taken back is judged by what it was: only its author and place are asked for.
        verdict = judge(replace(row, retracted=False, text=visible(row.text) or "-"))
        if not isinstance(verdict, Admit):
            reason = verdict.reason if isinstance(verdict, Drop) else Refusal.UNSENT
            logger.info("change passed over", extra={"guid": row.guid, "reason": reason})
            return
        item = Inbound.of(verdict, now=self._clock.now())
        self._inbox.put(
            replace(
                item,
                guid=f"{row.guid}/{change}/{key[:16]}",
                text=item.text if change is Change.EDITED else "",
                reply_to=None,
                has_files=change is Change.FILES,
                files=frozenset({int(key)}) if change is Change.FILES else frozenset(),
                change=change,
                changes=row.guid,
                key=key,
            )
        )


def _changed(row: Row, before: str) -> tuple[Change, str] | None:
    if row.retracted:
        return Change.UNSENT, ""
    words = visible(row.text)
    # Words may also come after the files they were sent with, or be heard in a voice memo later.
    if words and fingerprint(words) != before and (row.edited or before == _NO_WORDS):
        return Change.EDITED, fingerprint(words)
    return None
