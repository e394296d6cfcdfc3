"""One message row of chat.db as the bridge sees it, whatever macOS wrote it."""

from __future__ import annotations

from dataclasses import dataclass

APPLE_EPOCH_S = 978_307_200
"""2001-01-01T00:00:00Z, where Apple's dates begin."""

_NS = 1_000_000_000
_SECONDS_LIMIT = 100_000_000_000
"""Before 10.13 dates were seconds; no date in nanoseconds is this small."""

STYLE_GROUP = 43
STYLE_DIRECT = 45

URL_BALLOON = "com.apple.messages.URLBalloonProvider"


def to_apple_ns(epoch_s: float) -> int:
    return int((epoch_s - APPLE_EPOCH_S) * _NS)


def from_apple(date: int) -> float:
    """Epoch seconds of a `date` column, in nanoseconds or (older) seconds; 0 stays 0."""
    if date == 0:
        return 0.0
    return date / (_NS if abs(date) >= _SECONDS_LIMIT else 1) + APPLE_EPOCH_S


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation a message is joined to."""

    guid: str
    identifier: str | None
    style: int | None
    addresses: frozenset[str] = frozenset()
    """The normalised addresses of its participants. One person has a row for each service, and
    the account's own addresses may be among them; those are left out where chat.db tells them."""

    @property
    def is_marked_group(self) -> bool:
        """What Messages itself calls a group; whether a one-to-one chat holds somebody else is
        told by its addresses (`AllowList.is_group`)."""
        return self.style == STYLE_GROUP or ";+;" in self.guid

    @property
    def is_known(self) -> bool:
        return self.style in (STYLE_GROUP, STYLE_DIRECT)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `message` with its chats; absent columns have their neutral value."""

    rowid: int
    guid: str
    date: int
    text: str | None
    """Decoded body, or the `text` column where there is no readable body."""
    from_me: bool
    service: str | None = "iMessage"
    handle: str | None = None
    chats: tuple[Chat, ...] = ()
    item_type: int = 0
    associated_type: int = 0
    associated_guid: str | None = None
    associated_emoji: str | None = None
    balloon: str | None = None
    thread_guid: str | None = None
    reply_to_guid: str | None = None
    error: int = 0
    sent: bool = False
    delivered: bool = False
    has_attachments: bool = False
    has_body: bool = False
    """Whether `attributedBody` holds anything, readable or not."""
    retracted: bool = False
    """Taken back by its author."""
    edited: bool = False
    scheduled: bool = False
    unwanted: bool = False
    """Marked as spam, corrupt, detonated, or as Messages' own system or service message."""

    @property
    def at(self) -> float:
        """Epoch seconds."""
        return from_apple(self.date)

    @property
    def expects_files(self) -> bool:
        """The joins to its files may come later than the placeholder in its text. What a link's
        balloon is drawn from is no file."""
        return not self.balloon and (self.has_attachments or "\ufffc" in (self.text or ""))
