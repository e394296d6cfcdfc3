"""Approval codes: two characters, a letter and a digit, none mistaken for another."""

from __future__ import annotations

import random
import re
from collections.abc import Collection

LETTERS = "ACDEFGHJKLMNPQRTUVWXY"
DIGITS = "23456789"

_CODE = re.compile(f"^[{LETTERS}][{DIGITS}](?:[{LETTERS}][{DIGITS}])?$")


def new_code(taken: Collection[str], rng: random.Random) -> str:
    """A code not in `taken`; four characters once the two-character ones run short."""
    free = [f"{a}{b}" for a in LETTERS for b in DIGITS if f"{a}{b}" not in taken]
    if free:
        return rng.choice(free)
    while True:
        code = "".join(rng.choice(LETTERS) + rng.choice(DIGITS) for _ in range(2))
        if code not in taken:
            return code


def parse_code(word: str) -> str | None:
    """The code a person typed, or None when it cannot be one."""
    code = word.upper()
    return code if _CODE.match(code) else None
