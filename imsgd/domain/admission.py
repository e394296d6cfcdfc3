"""Which rows of chat.db are a person's word to the mesh.

`judge` looks at one row alone; whether an admitted row is an echo, a second copy or a replay is
decided afterwards from the bridge's own records (`domain.history`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from common.handles import address_of
from common.panic import is_panic
from imsgd.domain.handles import AllowList
from imsgd.domain.rows import STYLE_DIRECT, URL_BALLOON, Chat, Row
from imsgd.domain.words import visible

TAPBACKS = {
    2000: "love",
    2001: "like",
    2002: "dislike",
    2003: "laugh",
    2004: "emphasise",
    2005: "question",
    2007: "sticker",
}
_EMOJI_TAPBACK = 2006
_MAX_EMOJI = 32
HEARD_SERVICES = frozenset({"imessage", "imessagelite"})
"""By satellite Messages writes `iMessageLite`; it is as much bound to the account as iMessage."""


class Missing(StrEnum):
    """What a row still lacks; Messages writes rows, joins and bodies apart."""

    CHAT = "chat"
    SENDER = "sender"
    BODY = "body"
    SERVICE = "service"
    FILES = "files"
    TARGET = "target"
    """A reaction came before the message it points to was known as ours."""


class Refusal(StrEnum):
    """Why a row is no input. Refused rows get no answer of any kind."""

    SYSTEM = "system row"
    SCHEDULED = "not sent yet"
    GROUP = "group"
    SERVICE = "not iMessage"
    STRANGER = "not on the allow-list"
    OWN = "own message in a conversation with somebody else"
    REACTION = "reaction without meaning here"
    APP = "app balloon"
    UNSENT = "taken back"


@dataclass(frozen=True, slots=True)
class Admit:
    """A row written by somebody who may command, before duplicates are sorted out."""

    row: Row
    chat: str
    """The chat's guid: where an answer goes."""
    conversation: str
    sender: str
    text: str
    tapback: str | None = None
    reply_to: str | None = None
    preview: bool = False
    """A link's preview balloon, which often repeats the text before it."""


@dataclass(frozen=True, slots=True)
class Wait:
    missing: Missing


@dataclass(frozen=True, slots=True)
class Drop:
    reason: Refusal
    about: str | None = None
    """What its author, who may command, has to be told: the service, or who else is in the chat."""
    sender: str | None = None


Verdict = Admit | Wait | Drop


def judge(row: Row, allow: AllowList, *, now: float) -> Verdict:
    """Decide one row; `now` in epoch seconds tells a scheduled row from a sent one."""
    if row.item_type != 0 or row.unwanted:
        return Drop(Refusal.SYSTEM)
    if row.scheduled and row.at > now:
        return Drop(Refusal.SCHEDULED)
    where = _conversation(row, allow)
    if not isinstance(where, _Place):
        return where
    if (row.service or "").casefold() not in HEARD_SERVICES and not _is_order_to_stop(row):
        return Drop(Refusal.SERVICE, about=row.service or None, sender=where.sender)
    if row.associated_type:
        return _reaction(row, where)
    return _message(row, where)


def _is_order_to_stop(row: Row) -> bool:
    """The one order that is obeyed over any service: a forged one costs nothing but time."""
    return not row.associated_type and is_panic(visible(row.text))


@dataclass(frozen=True, slots=True)
class _Place:
    chat: str
    conversation: str
    sender: str


def _conversation(row: Row, allow: AllowList) -> _Place | Wait | Drop:
    if any(chat.is_marked_group for chat in row.chats):
        return Drop(Refusal.GROUP)
    if mixed := [chat for chat in row.chats if allow.is_group(chat)]:
        return _mixed(row, mixed[0], allow)
    if not row.chats or not all(chat.is_known for chat in row.chats):
        return Wait(Missing.CHAT)
    if row.service is None:
        return Wait(Missing.SERVICE)
    return _one_to_one(row, row.chats[0], allow)


def _mixed(row: Row, chat: Chat, allow: AllowList) -> Drop:
    """A chat that Messages calls one-to-one and in which somebody else is as well."""
    heard = chat.style == STYLE_DIRECT and not row.from_me and allow.is_listed(row.handle)
    if not heard or not allow.is_listed(chat.identifier):
        return Drop(Refusal.GROUP)
    return Drop(Refusal.GROUP, ", ".join(sorted(allow.strangers_in(chat))), row.handle)


def _one_to_one(row: Row, chat: Chat, allow: AllowList) -> _Place | Wait | Drop:
    address = chat.identifier
    if address is None or not allow.is_listed(address):
        return Drop(Refusal.STRANGER)
    conversation = allow.conversation(address)
    if allow.is_own(address):
        # With oneself either copy may be the only one, so the direction says nothing here.
        if not row.from_me and row.handle is not None and not allow.is_own(row.handle):
            return Drop(Refusal.STRANGER)
        return _Place(_answered_at(chat, address, allow), conversation, address)
    if row.from_me:
        return Drop(Refusal.OWN)
    if row.handle is None:
        return Wait(Missing.SENDER)
    if not allow.is_listed(row.handle):
        return Drop(Refusal.STRANGER)
    return _Place(_answered_at(chat, address, allow), conversation, row.handle)


def _answered_at(chat: Chat, address: str, allow: AllowList) -> str:
    """Where a reply goes: the chat, or its bare address where the chat's guid names another
    service or nobody (`SMS;-;+1555…`), to which nothing could be sent."""
    named = address_of(chat.guid)
    return chat.guid if named is not None and allow.is_listed(named) else address


def _reaction(row: Row, place: _Place) -> Admit | Drop:
    tapback = TAPBACKS.get(row.associated_type)
    if row.associated_type == _EMOJI_TAPBACK:
        # What an emoji means is the hub's to say; all that is not on its own words is ignored.
        tapback = (row.associated_emoji or "").strip()[:_MAX_EMOJI] or "emoji"
    target = target_of(row.associated_guid)
    if tapback is None or target is None:
        return Drop(Refusal.REACTION)
    return Admit(
        row, place.chat, place.conversation, place.sender, "", tapback=tapback, reply_to=target
    )


def target_of(associated_guid: str | None) -> str | None:
    """The message a reaction points to: `p:0/GUID`, `bp:GUID` or the bare guid."""
    if not associated_guid:
        return None
    bare = associated_guid.rpartition("/")[2]
    return bare.removeprefix("bp:").removeprefix("p:") or None


def _message(row: Row, place: _Place) -> Verdict:
    if row.retracted:
        return Drop(Refusal.UNSENT)
    if row.balloon and row.balloon != URL_BALLOON:
        return Drop(Refusal.APP)
    text = visible(row.text)
    if not text and not row.expects_files:
        return Wait(Missing.BODY)
    return Admit(
        row,
        place.chat,
        place.conversation,
        place.sender,
        text,
        reply_to=row.thread_guid,
        preview=row.balloon == URL_BALLOON,
    )
