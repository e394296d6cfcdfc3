"""Deciding admitted rows by everything that happened before them, once and for good."""

from __future__ import annotations

import logging
import sqlite3
from enum import Enum, auto

from common.clock import Clock
from common.wire.messages import BridgeProblem
from imsgd.chatdb.link import ChatLink
from imsgd.domain.admission import Admit, Drop
from imsgd.domain.freshness import Freshness
from imsgd.domain.fuse import BLOWN_S, LoopFuse
from imsgd.domain.handles import SELF
from imsgd.domain.history import PREVIEW_S, Repeat, repeats_link
from imsgd.domain.rows import Row
from imsgd.domain.unheard import MIXED_PROBLEM, SERVICE_PROBLEM, not_heard
from imsgd.domain.words import fingerprint, has_reply_form
from imsgd.health import Health
from imsgd.inbox import Inbound, Inbox
from imsgd.ledger import hearing, speaking
from imsgd.ledger.database import Ledger

logger = logging.getLogger(__name__)

FUSE_PROBLEM = "loop_fuse"
STALE_PROBLEM = "texts_not_acted_on"
STALE_SHOWN_S = 600.0
REFUSED_SHOWN_S = 24 * 3600.0
"""So long a person who may command is shown as unheard, or until a text of theirs is heard."""


class Sifted(Enum):
    DECIDED = auto()
    TARGET_UNKNOWN = auto()
    """A reaction to a message that may yet turn out to be ours: ask again."""


class Sieve:
    """Records a verdict for each admitted row and queues what is input."""

    def __init__(
        self, *, link: ChatLink, ledger: Ledger, inbox: Inbox, health: Health, clock: Clock
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._inbox = inbox
        self._health = health
        self._clock = clock
        self._fuse = LoopFuse()
        self._links: dict[str, list[tuple[float, str]]] = {}
        self._stale = 0
        self._stale_until = 0.0
        self._refused: dict[str, float] = {}

    async def sift(self, admitted: Admit, fresh: Freshness) -> Sifted:
        """Decide one row; a guid that has its verdict keeps it."""
        row = admitted.row
        if await self._ledger.read(lambda c: hearing.fate(c, row.guid)) is not None:
            return Sifted.DECIDED
        if admitted.tapback is not None and not await self._is_ours(admitted.reply_to):
            if await self._ledger.read(speaking.has_unproven):
                return Sifted.TARGET_UNKNOWN
            await self._record(admitted, Repeat.UNKNOWN_TARGET)
            return Sifted.DECIDED
        await self._record(admitted, await self._repeat(admitted, fresh))
        return Sifted.DECIDED

    def refused(self, row: Row, drop: Drop, fresh: Freshness) -> None:
        """Show that somebody who may command was not heard; history is passed over in silence."""
        if drop.sender is None or row.at < fresh.floor(self._clock.now()):
            return
        problem = not_heard(drop)
        self._refused[problem.id] = self._clock.now() + REFUSED_SHOWN_S
        self._health.begin(problem)

    def refresh_problems(self) -> None:
        """Withdraw what is over; called after every poll."""
        now = self._clock.now()
        if not self._fuse.blown(now=now):
            self._health.end(FUSE_PROBLEM)
        if now >= self._stale_until:
            self._stale = 0
            self._health.end(STALE_PROBLEM)
        for name in [name for name, until in self._refused.items() if now >= until]:
            del self._refused[name]
            self._health.end(name)

    async def _is_ours(self, guid: str | None) -> bool:
        if guid is None:
            return False
        return await self._ledger.read(lambda c: hearing.primary_guid(c, guid)) is not None

    async def _repeat(self, admitted: Admit, fresh: Freshness) -> Repeat | None:
        """Why the row has no effect, by all but the ledger's comparison."""
        row = admitted.row
        if admitted.tapback is None and admitted.text:
            twins = await self._link.ask(lambda db: db.earlier_twins(row))
            words = fingerprint(admitted.text)
            if any(twin.text and fingerprint(twin.text) == words for twin in twins):
                return Repeat.TWIN
        if row.at < fresh.floor(self._clock.now()):
            if row.at >= fresh.born_at - fresh.late_s:
                self.count_missed()
            return Repeat.STALE
        recent = self._links.get(admitted.conversation, [])
        if admitted.preview and repeats_link(recent, at=row.at, text=admitted.text):
            return Repeat.PREVIEW
        return None

    async def _record(self, admitted: Admit, repeat: Repeat | None) -> None:
        key, now = hearing.key_of(admitted), self._clock.now()

        def decide(connection: sqlite3.Connection) -> str:
            verdict = repeat or hearing.repeat_of(connection, admitted, key) or hearing.INPUT
            if verdict == hearing.INPUT and self._is_loop(admitted, now):
                verdict = Repeat.LOOP
            hearing.record(connection, admitted, verdict, now=now, key=key)
            return verdict

        verdict = await self._ledger.write(decide)
        logger.info(
            "row decided",
            extra={"rowid": admitted.row.rowid, "guid": admitted.row.guid, "verdict": verdict},
        )
        if verdict in (hearing.INPUT, Repeat.ECHO, Repeat.PAIR):
            self._remember_link(admitted)
        if verdict == hearing.INPUT:
            self._refused.clear()
            self._health.end(SERVICE_PROBLEM, MIXED_PROBLEM)
            self._inbox.put(Inbound.of(admitted, now=now))
        elif verdict == Repeat.LOOP:
            self._report_loop()

    def _is_loop(self, admitted: Admit, now: float) -> bool:
        suspicious = admitted.conversation == SELF and has_reply_form(admitted.text)
        return suspicious and self._fuse.refuses(admitted.conversation, now=now)

    def _report_loop(self) -> None:
        self._health.begin(
            BridgeProblem(
                id=FUSE_PROBLEM,
                text="The conversation with yourself looked like the mesh talking to itself.",
                remedy="Texts beginning with a task's number are ignored there for "
                f"{BLOWN_S / 60:.0f} minutes; all others are heard.",
            )
        )

    def count_missed(self, texts: int = 1) -> None:
        """Show that texts were too old to act on."""
        self._stale += texts
        self._stale_until = self._clock.now() + STALE_SHOWN_S
        self._health.begin(
            BridgeProblem(
                id=STALE_PROBLEM,
                text=f"Texts too old to act on, or from before the bridge began: {self._stale}.",
                remedy="Send again what still matters.",
            )
        )

    def _remember_link(self, admitted: Admit) -> None:
        """So that the preview Messages adds to a link is known for what it is."""
        if "://" not in admitted.text and "www." not in admitted.text:
            return
        at = admitted.row.at
        kept = [
            (when, text)
            for when, text in self._links.get(admitted.conversation, ())
            if at - when <= PREVIEW_S
        ]
        self._links[admitted.conversation] = [*kept, (at, admitted.text)]
