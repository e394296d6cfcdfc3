"""The loop that reads chat.db and brings every row before the bridge's rules.

Invariant: the saved place never passes a row that is undecided, and an input stays unsettled until
the hub has acknowledged it; a crash at any moment repeats work, loses none, and what is repeated is
recognised by its guid.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from common.clock import Clock
from imsgd.bell import Bell
from imsgd.changes import ChangeWatch
from imsgd.chatdb import problems
from imsgd.chatdb.database import ChatDatabase
from imsgd.chatdb.link import ChatLink
from imsgd.domain.admission import Admit, Drop, Missing, Refusal, Wait, judge
from imsgd.domain.attachments import UNNAMED, Attachment, to_await, to_hand_on
from imsgd.domain.freshness import Freshness
from imsgd.domain.handles import AllowList
from imsgd.domain.history import Repeat
from imsgd.domain.own import SELF_PROBLEM, missing_own_handles
from imsgd.domain.rows import Row, to_apple_ns
from imsgd.domain.words import visible
from imsgd.errors import ChatDbBusyError, ChatDbError
from imsgd.health import Health
from imsgd.inbox import Inbound, Inbox
from imsgd.ledger import hearing, speaking
from imsgd.ledger.database import Ledger
from imsgd.sieve import Sieve, Sifted

logger = logging.getLogger(__name__)

SETTLE_S = 0.05
"""After a commit Messages still corrects and joins the row for some milliseconds."""
LOOK_BACK_S = 600.0
"""Rows that got a lower number than others before them are looked for by date this far back."""
LOOK_BACK_EVERY_S = 1.0
LOOK_BACK_IDLE_S = 10.0
"""The same while nobody writes."""
LOOK_BACK_ROWS = 1000
REBASE_ROWS = 20_000
BATCH_ROWS = 500
HOLD_S = 0.3
"""So long a row just written holds up those after it while it is incomplete; then it is overtaken,
not forgotten."""
FILES_S = 60.0
"""A text whose files are not there after that long is delivered without them, and says so."""
NO_FILES_S = 5.0
"""The same for a text that says it has files, but was joined to none."""
TRANSCRIPT_S = 5.0
"""So long the words of a voice memo may take; then it is a file."""
WAIT_S = 30.0
"""A reaction to something that is still not known as ours is passed over after that long."""
LATE_S = LOOK_BACK_S
"""A row still without chat or body after that long is given up."""
YOUNG_S = 30.0
"""An incomplete row that is older is looked at only when chat.db changed."""
SAVE_EVERY_S = 5.0
SAVE_IDLE_S = 30.0
"""The same while the place does not move: only the time of the last look does."""
JUDGED_ROWS = 5000
RETRY_S = 2.0


@dataclass(slots=True)
class Session:
    """What is remembered of the file that is open now."""

    identity: str
    scanned: int
    waiting: dict[int, float] = field(default_factory=dict)
    """Incomplete rows by number, with the monotonic time they were first seen."""
    judged: dict[int, None] = field(default_factory=dict)
    """Numbers that need no second look, the oldest first."""
    catching_up: bool = True
    """Until the rows written before the file was opened are judged; they hold up nothing."""
    version: int = -1
    renew_due: float = 0.0
    looked_back_at: float = 0.0
    looked_back_version: int = -1

    def to_visit(self, now: float, *, changed: bool) -> list[int]:
        """The incomplete rows worth a look."""
        return [row for row, since in self.waiting.items() if changed or now - since < YOUNG_S]

    def done(self, rowid: int) -> None:
        self.waiting.pop(rowid, None)
        self.judged[rowid] = None
        while len(self.judged) > JUDGED_ROWS:
            del self.judged[next(iter(self.judged))]

    def holds_up(self, now: float) -> bool:
        """Whether an incomplete row is so young that its place in the order is kept for it."""
        return not self.catching_up and any(now - since < HOLD_S for since in self.waiting.values())

    @property
    def decided_up_to(self) -> int:
        return min(self.scanned, min(self.waiting, default=self.scanned + 1) - 1)


@dataclass(frozen=True, slots=True)
class Policy:
    """`late_s`: a text dated that long before the bridge last listened is taken for a replay."""

    allow: AllowList
    poll_s: float
    late_s: float


class Reader:
    def __init__(
        self,
        chat_db: Path,
        policy: Policy,
        *,
        ledger: Ledger,
        inbox: Inbox,
        health: Health,
        clock: Clock,
        offered: Bell,
    ) -> None:
        self._path = chat_db
        self._policy = policy
        self._ledger = ledger
        self._inbox = inbox
        self._health = health
        self._clock = clock
        self._link = ChatLink(chat_db, "reader")
        self._sieve = Sieve(link=self._link, ledger=ledger, inbox=inbox, health=health, clock=clock)
        self._watch = ChangeWatch(link=self._link, ledger=ledger, inbox=inbox, clock=clock)
        self._offered = offered
        self.looked = asyncio.Event()
        """Set once chat.db was looked at, or could not be: from then on every new row is heard."""
        self._session: Session | None = None
        self._fresh: Freshness | None = None
        self._opened = 0
        self._saved_at = clock.monotonic()
        self._saved_rowid = -1

    async def run(self) -> None:
        """Poll for ever; an unreadable database is reported and tried again."""
        while True:
            pause_s = self._policy.poll_s
            try:
                await self._poll()
                self._health.end(*problems.READING)
            except ChatDbError as error:
                self._health.begin(error.problem)
                pause_s = max(pause_s, RETRY_S)
            except ChatDbBusyError:
                logger.debug("database busy")
            self.looked.set()
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Save the place; called when the loop has ended."""
        try:
            if self._session is not None:
                await self._save_place(self._session)
        finally:
            await self._link.close()

    async def current(self, item: Inbound) -> Inbound | None:
        """An input as it reads now: its author may have edited or unsent it while it waited.

        None when it was taken back; unchanged when that cannot be told.
        """
        try:
            row = await self._link.ask(lambda db: db.with_guid(item.guid))
        except (ChatDbError, ChatDbBusyError):
            return item
        verdict = None if row is None else self._judge(row)
        if isinstance(verdict, Drop):
            return None
        return Inbound.of(verdict, now=self._clock.now()) if isinstance(verdict, Admit) else item

    async def files(self, item: Inbound) -> tuple[list[Attachment], list[Attachment]]:
        """What came with an input and is there to be handed on, and what is not there (yet)."""
        try:
            found = await self._link.ask(lambda db: db.attachments(item.rowid))
        except (ChatDbError, ChatDbBusyError):
            return [], [UNNAMED]
        if item.files:
            found = [one for one in found if one.rowid in item.files]
        return to_hand_on(found), to_await(found) if found else [UNNAMED]

    def _judge(self, row: Row) -> Admit | Wait | Drop:
        return judge(row, self._policy.allow, now=self._clock.now())

    async def _poll(self) -> None:
        now = self._clock.monotonic()
        session = self._session
        if session is not None and now >= session.renew_due:
            session.renew_due = now + LOOK_BACK_EVERY_S
            await self._link.renew()
        version = await self._link.ask(lambda db: db.data_version())
        if session is None or self._link.opened != self._opened:
            session = await self._begin_session()
        elif version != session.version:
            await asyncio.sleep(SETTLE_S)
        changed = version != session.version
        if rowids := session.to_visit(self._clock.monotonic(), changed=changed):
            await self._visit_waiting(session, rowids)
        if version != session.version and await self._scan(session):
            session.version, session.catching_up = version, False
        pause_s = LOOK_BACK_IDLE_S if version == session.looked_back_version else LOOK_BACK_EVERY_S
        if now - session.looked_back_at >= pause_s:
            session.looked_back_at, session.looked_back_version = now, version
            await self._look_back(session)
        if changed:
            await self._watch.look(self._judge)
        await self._after_poll(session)

    async def _begin_session(self) -> Session:
        """Find the place in the file just opened; a new or rebuilt file starts at its end."""
        identity, top = await self._link.ask(lambda db: (db.identity(), db.max_rowid()))
        saved = await self._ledger.read(hearing.place) or await self._first_start(identity, top)
        now = self._clock.now()
        fresh = self._fresh or Freshness(
            saved.born_at, saved.listened_at, late_s=self._policy.late_s
        )
        self._fresh = fresh.after_poll(now)
        continues = saved.identity == identity and saved.rowid <= top
        session = Session(identity, saved.rowid if continues else top)
        if top == 0:
            self._health.begin(problems.empty(self._path))
        await self._look_for_own_handles()
        await self._resume_unsettled()
        await self._watch.resume(self._judge)
        if not continues:
            logger.warning("database replaced", extra={"rowid": top})
            await self._look_back(session, since=self._fresh.floor(now), limit=REBASE_ROWS)
            await self._save_place(session)
        self._session, self._opened = session, self._link.opened
        logger.info("reading", extra={"rowid": session.scanned, "continues": continues})
        return session

    async def _look_for_own_handles(self) -> None:
        found = missing_own_handles(
            self._policy.allow, await self._link.ask(lambda db: db.own_accounts())
        )
        for problem in found:
            self._health.begin(problem)
        if not found:
            self._health.end(SELF_PROBLEM)

    async def _first_start(self, identity: str, top: int) -> hearing.Place:
        """Nothing that is there already is ever acted on, also when the file is rebuilt later."""
        now = self._clock.now()
        place = hearing.Place(identity, top, born_at=now, listened_at=now)
        since = to_apple_ns(now - max(LOOK_BACK_S, self._policy.late_s))
        rows = await self._link.ask(lambda db: db.dated(since, limit=LOOK_BACK_ROWS))
        admitted = [verdict for row in rows if isinstance(verdict := self._judge(row), Admit)]
        missed = _texts_by_chat(admitted)

        def begin(connection: sqlite3.Connection) -> None:
            hearing.save_place(connection, place)
            for one in admitted:
                key = hearing.key_of(one)
                hearing.record(connection, one, Repeat.BASELINE, now=now, key=key)
            for chat, count in missed.items():
                speaking.say(connection, chat, _before_start(count), now=now)

        await self._ledger.write(begin)
        logger.info("first start", extra={"rowid": top, "not_acted_on": sum(missed.values())})
        if missed:
            self._sieve.count_missed(sum(missed.values()))
            self._offered.ring()
        return place

    async def _resume_unsettled(self) -> None:
        """Queue again what was found to be input before a crash."""
        for guid in await self._ledger.read(hearing.unsettled_guids):
            row = await self._link.ask(partial(ChatDatabase.with_guid, guid=guid))
            verdict = None if row is None else self._judge(row)
            if isinstance(verdict, Admit):
                self._inbox.put(Inbound.of(verdict, now=self._clock.now()))
            elif not isinstance(verdict, Wait):
                logger.info("input taken back", extra={"guid": guid})
                settle = partial(hearing.settle, guid=guid, verdict=Refusal.UNSENT)
                await self._ledger.write(settle)

    async def _scan(self, session: Session) -> bool:
        """Judge new rows in order; False if a row just written holds up the rest for now."""
        while not session.holds_up(self._clock.monotonic()):
            rows = await self._link.ask(lambda db: db.after(session.scanned, limit=BATCH_ROWS))
            for row in rows:
                await self._judge_one(session, row)
                session.scanned = row.rowid
                if session.holds_up(self._clock.monotonic()):
                    return False
            if rows:
                self._health.end(problems.EMPTY)
            if len(rows) < BATCH_ROWS:
                return True
        return False

    async def _look_back(
        self, session: Session, *, since: float | None = None, limit: int = LOOK_BACK_ROWS
    ) -> None:
        start = to_apple_ns(self._clock.now() - LOOK_BACK_S if since is None else since)
        rowids = await self._link.ask(
            lambda db: db.rowids_dated(start, up_to=session.scanned, limit=limit)
        )
        known = session.judged.keys() | session.waiting.keys()
        if unknown := [rowid for rowid in rowids if rowid not in known]:
            rows = await self._link.ask(lambda db: db.with_rowids(unknown))
            for row in sorted(rows, key=lambda row: (row.date, row.rowid)):
                await self._judge_one(session, row)

    async def _visit_waiting(self, session: Session, rowids: list[int]) -> None:
        rows = await self._link.ask(lambda db: db.with_rowids(rowids))
        for gone in set(rowids) - {row.rowid for row in rows}:
            session.done(gone)
        for row in rows:
            await self._judge_one(session, row)

    async def _judge_one(self, session: Session, row: Row) -> None:
        match self._judge(row):
            case Admit() as admitted if await self._lacks_files(session, row):
                self._keep_waiting(session, admitted.row, Missing.FILES)
            case Admit() as admitted:
                await self._sift(session, admitted)
            case Wait(missing=missing):
                self._keep_waiting(session, row, missing)
            case Drop(reason=Refusal.SCHEDULED):
                pass  # the look-back finds it when its time has come
            case Drop() as dropped:
                if self._fresh is not None:
                    self._sieve.refused(row, dropped, self._fresh)
                session.done(row.rowid)

    async def _lacks_files(self, session: Session, row: Row) -> bool:
        """Whether it is worth waiting for a file that is still being downloaded."""
        if not row.expects_files:
            return False
        files = await self._link.ask(lambda db: db.attachments(row.rowid))
        now = self._clock.monotonic()
        waited_s = now - session.waiting.get(row.rowid, now)
        if not files:
            return waited_s < NO_FILES_S
        if waited_s < TRANSCRIPT_S and not visible(row.text) and any(f.is_memo for f in files):
            return True
        return waited_s < FILES_S and not all(file.is_settled for file in files)

    async def _sift(self, session: Session, admitted: Admit) -> None:
        if self._fresh is None:
            raise RuntimeError("rows are judged only in a session")
        sifted = await self._sieve.sift(admitted, self._fresh)
        if sifted is Sifted.TARGET_UNKNOWN:
            self._keep_waiting(session, admitted.row, Missing.TARGET)
        else:
            session.done(admitted.row.rowid)

    def _keep_waiting(self, session: Session, row: Row, missing: Missing) -> None:
        now = self._clock.monotonic()
        limit_s = WAIT_S if missing is Missing.TARGET else LATE_S
        if now - session.waiting.setdefault(row.rowid, now) >= limit_s:
            logger.info("row given up", extra={"rowid": row.rowid, "missing": missing})
            session.done(row.rowid)

    async def _after_poll(self, session: Session) -> None:
        if self._fresh is not None:
            self._fresh = self._fresh.after_poll(self._clock.now())
        self._sieve.refresh_problems()
        pause_s = SAVE_IDLE_S if session.decided_up_to == self._saved_rowid else SAVE_EVERY_S
        if self._clock.monotonic() - self._saved_at >= pause_s:
            await self._save_place(session)

    async def _save_place(self, session: Session) -> None:
        if self._fresh is None:
            return
        self._saved_at, self._saved_rowid = self._clock.monotonic(), session.decided_up_to
        place = hearing.Place(
            session.identity,
            session.decided_up_to,
            self._fresh.born_at,
            self._fresh.listened_at,
        )
        await self._ledger.write(lambda c: hearing.save_place(c, place))


def _texts_by_chat(admitted: list[Admit]) -> dict[str, int]:
    """How many different texts were written where; both copies of one count once."""
    texts = {hearing.key_of(one): one.chat for one in admitted if one.tapback is None}
    return dict(Counter(texts.values()))


def _before_start(count: int) -> str:
    texts = "text" if count == 1 else f"{count} texts"
    return (
        f"I began to listen just now: your last {texts} here came before that and "
        f"{'was' if count == 1 else 'were'} not acted on. Send again what still matters."
    )
