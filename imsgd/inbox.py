"""Inputs on their way to the hub, in order; an order to stop everything overtakes the rest."""

from __future__ import annotations

from dataclasses import dataclass

from common.panic import is_panic
from common.wire.messages import Change
from imsgd.bell import Bell
from imsgd.domain.admission import Admit

PANIC_LANE = "orders to stop"


@dataclass(frozen=True, slots=True)
class Inbound:
    """What the hub is told of a row, still in the bridge's own terms (`sent_at` epoch seconds)."""

    guid: str
    rowid: int
    conversation: str
    chat: str
    sender: str
    text: str
    sent_at: float
    reply_to: str | None = None
    tapback: str | None = None
    has_files: bool = False
    queued_at: float = 0.0
    files: frozenset[int] = frozenset()
    """Only these of its files are meant; none: all."""
    change: Change | None = None
    changes: str | None = None
    """The input that `change` is about, and what tells two changes apart."""
    key: str = ""

    @classmethod
    def of(cls, admitted: Admit, *, now: float) -> Inbound:
        return cls(
            guid=admitted.row.guid,
            rowid=admitted.row.rowid,
            conversation=admitted.conversation,
            chat=admitted.chat,
            sender=admitted.sender,
            text=admitted.text,
            sent_at=admitted.row.at,
            reply_to=admitted.reply_to,
            tapback=admitted.tapback,
            has_files=admitted.row.expects_files,
            queued_at=now,
        )

    @property
    def lane(self) -> str:
        """What it waits behind: its conversation, or only other orders to stop."""
        return PANIC_LANE if self.is_panic else self.conversation

    @property
    def is_panic(self) -> bool:
        return self.tapback is None and is_panic(self.text)


class Inbox:
    """In memory only: everything in it is unsettled in the ledger and comes back after a crash."""

    def __init__(self) -> None:
        self._items: list[Inbound] = []
        self.filled = Bell()

    def put(self, item: Inbound) -> None:
        """Append, or do nothing for a guid that waits already."""
        if any(waiting.guid == item.guid for waiting in self._items):
            return
        position = len(self._items)
        if item.is_panic:
            position = sum(waiting.is_panic for waiting in self._items)
        self._items.insert(position, item)
        self.filled.ring()

    @property
    def lanes(self) -> list[str]:
        """What has something to deliver, in order."""
        return list(dict.fromkeys(item.lane for item in self._items))

    def first(self, lane: str) -> Inbound | None:
        """The item of a lane to deliver now; it stays until `remove`."""
        return next((item for item in self._items if item.lane == lane), None)

    def remove(self, guid: str) -> None:
        self._items = [item for item in self._items if item.guid != guid]

    def __len__(self) -> int:
        return len(self._items)
