"""Addresses of people in one comparable form, for everyone who asks who may command the mesh.

The bridge and the hub must agree letter by letter: what one hears and the other does not is lost.
"""

from __future__ import annotations

import re

_PREFIX = re.compile(r"^(?:e:|p:|mailto:|tel:|imessage:)+", re.IGNORECASE)
_PHONE_NOISE = re.compile(r"[\s()./\-\u00a0\u2010-\u2015\u202a-\u202e\u2066-\u2069]+")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]"
)
_MAIL = re.compile(r"""[^\s;,"'<>@]+@[^\s;,"'<>@]+""")
_PHONE = re.compile(r"\+[0-9]{4,15}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{3,15}", re.ASCII)
_TO_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""ASCII alone: Unicode has other letters whose small form is an ordinary k or i."""


def normalise(handle: str) -> str:
    """Return the comparable form of a handle, or "" if it is neither a number nor a mail address.

    A mail address is lower-cased, a number keeps its `+` and loses its punctuation. A number
    without `+` stays without: it is another address, and sending to it fails with error 22.
    """
    bare = _PREFIX.sub("", handle.strip()).strip()
    if "@" in bare:
        whole = _MAIL.fullmatch(bare) and not _UNSEEN.search(bare)
        return bare.translate(_TO_LOWER) if whole else ""
    number = _PHONE_NOISE.sub("", bare)
    if _PHONE.fullmatch(number) or _SHORT_CODE.fullmatch(number):
        return number
    return ""


def address_of(chat: str) -> str | None:
    """The other side's address of a one-to-one chat guid (`iMessage;-;+1555…`, `any;-;…`).

    None for a group, for another service, or for what is no guid and no address.
    """
    if ";" not in chat:
        return chat if normalise(chat) else None
    service, _, rest = chat.partition(";")
    polarity, _, address = rest.partition(";")
    if (
        service.lower() not in {"imessage", "imessagelite", "any"}
        or polarity != "-"
        or not normalise(address)
    ):
        return None
    return address
