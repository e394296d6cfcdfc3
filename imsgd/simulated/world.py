"""One person's Messages: the phone that texts, the Mac that stores, and what osascript does to it.

Everything that happens is also kept in order as `Bubble` records, so that a phone's screen can be
drawn without guessing from the database who wrote what.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from common.handles import normalise
from imsgd.domain.rows import URL_BALLOON
from imsgd.simulated.modes import FAILURES, HANGS, WITHOUT_ROW, Mode, Stage
from imsgd.simulated.store import MessageStore, NewRow, Written

TAPBACK_TYPES = {
    "love": 2000,
    "like": 2001,
    "dislike": 2002,
    "laugh": 2003,
    "emphasise": 2004,
    "question": 2005,
}
_TAPBACK_TEXTS = {
    "love": "Loved",
    "like": "Liked",
    "dislike": "Disliked",
    "laugh": "Laughed at",
    "emphasise": "Emphasised",
    "question": "Questioned",
}
_REMOVAL = 1000
_NOT_DELIVERED = 22
_CUT_SHORT = "0:0: syntax error: Expected end of line but found end of script. (-2741)\n"


class Shape(StrEnum):
    """The rows a text to oneself leaves: both, an empty sent one, only sent, only received."""

    PAIR = "A"
    PAIR_EMPTY = "A1"
    SENT = "B"
    RECEIVED = "C"


@dataclass(slots=True)
class Timing:
    """Seconds between the steps of writing a message."""

    row_s: float = 0.05
    join_s: float = 0.005
    body_s: float = 0.0
    """0: the body comes with the row."""
    copy_s: float = 0.1
    """Until the second row of a pair."""
    delivered_s: float = 0.1
    failed_s: float = 2.0
    late_s: float = 2.2
    preview_s: float = 0.3


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message as the phone shows it. `direction`: `in` towards the mesh, `out` from it."""

    rowid: int
    guid: str
    direction: str
    text: str
    at: float
    is_from_me: bool
    chat: str
    kind: str = "text"
    copy: bool = False
    reply_to: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class World:
    """Commands come from one event loop; delayed steps run as its tasks until `close`."""

    def __init__(
        self, store: MessageStore, *, owner: str, own: list[str], now: Callable[[], float]
    ) -> None:
        self.store = store
        self.owner = owner
        self.own = own
        self.shape = Shape.PAIR
        self.timing = Timing()
        self.bubbles: list[Bubble] = []
        self.appeared = asyncio.Condition()
        self._now = now
        self._modes: list[tuple[Mode, int | None]] = []
        self._steps: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for step in self._steps:
            step.cancel()
        await asyncio.gather(*self._steps, return_exceptions=True)
        self.store.close()

    # The phone

    async def text(
        self,
        text: str,
        *,
        sender: str | None = None,
        chat: str | None = None,
        at: float | None = None,
        reply_to: str | None = None,
        service: str = "iMessage",
        plain: bool = False,
        columns: dict[str, Any] | None = None,
    ) -> Written:
        """A person writes; returns when the (first) row is complete."""
        sender = sender or self.owner
        chat = chat or self.store.direct_chat(sender)
        when = self._now() if at is None else at
        extra = dict(columns or {})
        if reply_to is not None:
            extra |= {"thread_originator_guid": reply_to, "thread_originator_part": "0:0:5"}
        row = NewRow(text, when, handle=sender, service=service, plain=plain, columns=extra)
        if self.is_own_chat(chat):
            return await self._own_rows(row, chat, "in", reply_to=reply_to)
        return await self._write(row, chat, "in", reply_to=reply_to)

    async def tapback(
        self, guid: str, kind: str, *, sender: str | None = None, remove: bool = False
    ) -> Written:
        """A person reacts to the message `guid`, or takes the reaction back."""
        sender = sender or self.owner
        known = [bubble for bubble in self.bubbles if bubble.guid == guid]
        chat = known[0].chat if known else self.store.direct_chat(sender)
        quoted = known[0].text if known else ""
        columns = {
            "associated_message_guid": f"p:0/{guid}",
            "associated_message_type": TAPBACK_TYPES[kind] + (_REMOVAL if remove else 0),
        }
        text = f"{_TAPBACK_TEXTS[kind]} “{quoted}”"
        row = NewRow(text, self._now(), handle=sender, columns=columns)
        if self.is_own_chat(chat):
            return await self._own_rows(row, chat, "in", kind="tapback", reply_to=guid)
        return await self._write(row, chat, "in", kind="tapback", reply_to=guid)

    # The Mac

    def is_own_chat(self, chat: str) -> bool:
        return normalise(chat.rpartition(";")[2]) in {normalise(handle) for handle in self.own}

    def set_mode(self, mode: Mode, *, times: int | None = None) -> None:
        """How the next `times` sends end (None: all from now on)."""
        if times is None:
            self._modes = []
        self._modes.append((mode, times))

    def _next_mode(self) -> Mode:
        if not self._modes:
            return Mode.OK
        mode, times = self._modes[0]
        if times is not None:
            if times <= 1:
                self._modes.pop(0)
            else:
                self._modes[0] = (mode, times - 1)
        return mode

    def osascript(self, script: str, arguments: list[str]) -> dict[str, Any]:
        """What the stand-in must do: `exit`, `stderr`, `stdout`, and how it hangs if it does."""
        if "count of accounts" in script:
            return self._counted()
        if not _is_whole(script):
            return {"exit": 1, "stderr": _CUT_SHORT}
        text, target = arguments[0], arguments[1]
        by_chat = "chat id" in script
        mode = self._next_mode()
        if mode is Mode.OK and by_chat and not self.store.has_chat(target):
            mode = Mode.NO_CHAT
        if mode is Mode.NO_CHAT and not by_chat:
            mode = Mode.OK
        if mode not in WITHOUT_ROW and not self._fails_before(mode):
            chat = target if by_chat else self.store.direct_chat(target)
            self._later(self._sent(text, chat, mode))
        if mode in HANGS:
            return {"hang": mode.value, "mode": mode.value}
        if failure := FAILURES.get(mode):
            message = failure.text.format(target=target)
            tag = _tag(script) if failure.stage is Stage.RESOLVING else ""
            stderr = f"0:57: execution error: {tag}Messages got an error: {message}"
            return {"exit": 1, "stderr": f"{stderr} ({failure.number})\n", "mode": mode.value}
        return {"exit": 0, "mode": mode.value}

    def _counted(self) -> dict[str, Any]:
        mode = self._modes[0][0] if self._modes else Mode.OK
        if mode is Mode.NOT_AUTHORISED:
            failure = FAILURES[mode]
            return {"exit": 1, "stderr": f"execution error: {failure.text} ({failure.number})\n"}
        return {"exit": 0, "stdout": "1\n"}

    @staticmethod
    def _fails_before(mode: Mode) -> bool:
        failure = FAILURES.get(mode)
        return failure is not None and failure.stage is Stage.RESOLVING

    async def _sent(self, text: str, chat: str, mode: Mode) -> None:
        late = mode is Mode.LATE_ROW
        await asyncio.sleep(self.timing.late_s if late else self.timing.row_s)
        if mode is Mode.GHOST:
            self.store.insert(NewRow(None, self._now(), from_me=True, service="SMS"))
            return
        if mode is Mode.SPLIT:
            await self._sent_apart(text, chat)
            return
        columns = {"is_sent": 1} if mode is Mode.NOT_DELIVERED else {}
        row = NewRow(text, self._now(), columns=columns)
        if self.is_own_chat(chat):
            written = await self._own_rows(row, chat, "out")
        else:
            written = await self._write(_from_me(row), chat, "out")
        if mode is Mode.NOT_DELIVERED:
            await asyncio.sleep(self.timing.failed_s)
            self.store.update(written.guid, error=_NOT_DELIVERED, is_sent=0)
            return
        await asyncio.sleep(self.timing.delivered_s)
        self.store.update(written.guid, is_sent=1, is_delivered=1)
        if mode is Mode.LINK:
            await asyncio.sleep(self.timing.preview_s)
            preview = NewRow(
                text, self._now(), from_me=True, columns={"balloon_bundle_id": URL_BALLOON}
            )
            await self._write(preview, chat, "out", kind="preview", copy=True)

    async def _sent_apart(self, text: str, chat: str) -> None:
        """Words and the link at their end as a bubble each, delivered at once."""
        words, _, link = text.rpartition(" ")
        delivered = {"is_sent": 1, "is_delivered": 1}
        for part, columns in ((words, {}), (link, {"balloon_bundle_id": URL_BALLOON})):
            row = NewRow(part, self._now(), columns={**delivered, **columns})
            if self.is_own_chat(chat):
                await self._own_rows(row, chat, "out")
            else:
                await self._write(_from_me(row), chat, "out")
            await asyncio.sleep(self.timing.preview_s)

    async def _own_rows(
        self,
        row: NewRow,
        chat: str,
        direction: str,
        *,
        kind: str = "text",
        reply_to: str | None = None,
    ) -> Written:
        """The rows of a text to oneself, in the shape of the day."""
        sent, received = _from_me(row), _received(row, self.own[0])
        match self.shape:
            case Shape.SENT:
                return await self._write(sent, chat, direction, kind=kind, reply_to=reply_to)
            case Shape.RECEIVED:
                return await self._write(received, chat, direction, kind=kind, reply_to=reply_to)
            case Shape.PAIR:
                written = await self._write(sent, chat, direction, kind=kind, reply_to=reply_to)
                self._later(self._copy(received, chat, direction, kind))
                return written
            case Shape.PAIR_EMPTY:
                empty = NewRow(None, row.at, from_me=True, columns=row.columns)
                self.store.join(self.store.insert(empty), chat)
                return await self._write(received, chat, direction, kind=kind, reply_to=reply_to)

    async def _copy(self, row: NewRow, chat: str, direction: str, kind: str) -> None:
        await asyncio.sleep(self.timing.copy_s)
        await self._write(row, chat, direction, kind=kind, copy=True)

    async def _write(
        self,
        row: NewRow,
        chat: str,
        direction: str,
        *,
        kind: str = "text",
        copy: bool = False,
        reply_to: str | None = None,
    ) -> Written:
        """Row, then join, then (if so timed) body, each a transaction of its own."""
        late_body = row.body if self.timing.body_s else None
        first = NewRow(None, row.at, row.from_me, row.handle, row.service, columns=row.columns)
        written = self.store.insert(first if late_body is not None else row)
        await asyncio.sleep(self.timing.join_s)
        self.store.join(written, chat)
        if late_body is not None:
            await asyncio.sleep(self.timing.body_s)
            self.store.update(written.guid, text=late_body)
        bubble = Bubble(
            written.rowid,
            written.guid,
            direction,
            row.body or "",
            row.at,
            row.from_me,
            chat,
            kind,
            copy,
            reply_to,
        )
        async with self.appeared:
            self.bubbles.append(bubble)
            self.appeared.notify_all()
        return written

    def _later(self, step: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(step, name="simulated step")
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)


def _from_me(row: NewRow) -> NewRow:
    # The handle of an outgoing row is often 0.
    return NewRow(row.body, row.at, True, None, row.service, row.plain, columns=row.columns)


def _received(row: NewRow, own: str) -> NewRow:
    return NewRow(row.body, row.at, False, own, row.service, row.plain, columns=row.columns)


def _is_whole(script: str) -> bool:
    """False for what is left on stdin by a caller that was killed while it wrote."""
    return "send " in script and script.count("on run") == script.count("end run")


def _tag(script: str) -> str:
    """The prefix that the script's own `on error` handler puts before an error, if it has one."""
    prefix = re.search(r'error "([^"]*)" &', script)
    return prefix[1] if prefix else ""
