"""Addresses of people: phone numbers and mail addresses in one comparable form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PREFIX = re.compile(r"^(?:e:|p:|mailto:|tel:|imessage:)+", re.IGNORECASE)
_PHONE_NOISE = re.compile(r"[\s()./\-\u00a0\u2010-\u2015\u202a-\u202e\u2066-\u2069]+")
_MAIL = re.compile(r"""[^\s;,"'<>@]+@[^\s;,"'<>@]+""")
_PHONE = re.compile(r"\+[0-9]{4,15}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{3,15}", re.ASCII)


def normalise(handle: str) -> str:
    """Return the comparable form of a handle, or "" if it is neither a number nor a mail address.

    A mail address is lower-cased, a number keeps its `+` and loses its punctuation. A number
    without `+` stays without: it is another address, and sending to it fails with error 22.
    """
    bare = _PREFIX.sub("", handle.strip()).strip()
    if "@" in bare:
        return bare.lower() if _MAIL.fullmatch(bare) else ""
    number = _PHONE_NOISE.sub("", bare)
    if _PHONE.fullmatch(number) or _SHORT_CODE.fullmatch(number):
        return number
    return ""


def is_address(handle: str) -> bool:
    """Whether a configured handle is one that iMessage can route: `+` and digits, or mail."""
    normal = normalise(handle)
    return "@" in normal or normal.startswith("+")


SELF = "self"
"""The key of every conversation with oneself; no normalised handle looks like it."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Who is heard and answered: exact normalised handles, nothing else.

    `own` are the addresses of the account Messages is signed in to; texts to oneself arrive in
    conversations with them. They are never guessed from the history.
    """

    own: frozenset[str]
    others: frozenset[str]

    @classmethod
    def of(cls, *, own: Iterable[str], others: Iterable[str]) -> AllowList:
        mine = frozenset(filter(None, map(normalise, own)))
        return cls(own=mine, others=frozenset(filter(None, map(normalise, others))) - mine)

    def is_own(self, handle: str | None) -> bool:
        return handle is not None and normalise(handle) in self.own

    def is_listed(self, handle: str | None) -> bool:
        return handle is not None and normalise(handle) in self.own | self.others

    def allows_target(self, chat: str) -> bool:
        """Whether a text may leave for `chat`: a one-to-one chat's guid or a bare handle."""
        address = address_of(chat)
        return address is not None and self.is_listed(address)

    def conversation(self, address: str) -> str:
        """The key under which own sends are remembered: all chats with oneself are one."""
        return SELF if self.is_own(address) else normalise(address)


def address_of(chat: str) -> str | None:
    """The other side's address of a one-to-one chat guid (`iMessage;-;+1555…`, `any;-;…`).

    None for a group, for another service, or for what is no guid and no address.
    """
    if ";" not in chat:
        return chat if normalise(chat) else None
    service, _, rest = chat.partition(";")
    polarity, _, address = rest.partition(";")
    if service.lower() not in {"imessage", "any"} or polarity != "-" or not normalise(address):
        return None
    return address
