"""Who is heard and answered, and the conversations with oneself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.handles import address_of, normalise
from imsgd.domain.rows import Chat


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

    def strangers_in(self, chat: Chat) -> frozenset[str]:
        """Who else is in a chat: addresses that are neither ours nor an allowed person's.

        A number without its country code is the same person's when the digits agree.
        """
        listed = self.own | self.others
        return frozenset(
            address
            for address in chat.addresses
            if address not in listed and not any(_same_number(address, one) for one in listed)
        )

    def is_group(self, chat: Chat) -> bool:
        """More than one other person, whatever rows each of them has.

        A lone participant is judged by its address like any sender, not called a group."""
        return chat.is_marked_group or (len(chat.addresses) > 1 and bool(self.strangers_in(chat)))

    def conversation(self, address: str) -> str:
        """The key under which own sends are remembered: all chats with oneself are one."""
        return SELF if self.is_own(address) else normalise(address)


_LOCAL_DIGITS = 7
"""A number written without its country code has at least so many digits."""


def _same_number(written: str, listed: str) -> bool:
    """Only for counting who is in a chat; who may command is compared letter by letter."""
    if written.startswith("+") or not listed.startswith("+") or len(written) < _LOCAL_DIGITS:
        return False
    return written.isdecimal() and listed.endswith(written.lstrip("0"))
