"""The conversation of `mesh demo --headless`: what is texted, and what must come back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DONE = re.compile(r"^#\d+ done")
QUESTION = re.compile(r"\by [A-Z0-9]{2,4}\b")
DECIDED = re.compile(r"^#\d+ approved")
FIGURES = re.compile(r"\d+ running of \d+ slots")
MONEY = re.compile(r"\$\d")
REHEARSED = re.compile(r"^#\d+ done.*no model ran", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """A text of the phone. Each pattern must be found in a reply of its own."""

    text: str
    expects: tuple[re.Pattern[str], ...]


def conversation(*, rehearsed: bool) -> Sequence[Line]:
    """A plain task, one for a specialist, one that asks first, and two looks."""
    answer = REHEARSED if rehearsed else DONE
    return (
        Line("Which day of the week was 1 January 2000? One word.", (answer,)),
        Line("@researcher What is a write-ahead log? One sentence.", (answer,)),
        Line("ask Say hello in French, in one word.", (QUESTION,)),
        Line("y", (DECIDED, answer)),
        Line("status", (FIGURES,)),
        Line("cost", (MONEY,)),
    )


def still_expected(
    expects: Sequence[re.Pattern[str]], replies: Sequence[str]
) -> list[re.Pattern[str]]:
    """The patterns no reply answers yet; a reply answers one pattern only."""
    left = list(expects)
    for reply in replies:
        for pattern in left:
            if pattern.search(reply):
                left.remove(pattern)
                break
    return left
