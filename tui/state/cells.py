"""A line of a list as data: pieces of text, each with the role that gives it its colour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tui.state.plain import one_line


class Role(StrEnum):
    """What a piece of text means; the theme gives each its colour."""

    PLAIN = "plain"
    STRONG = "strong"
    MUTED = "muted"
    FAINT = "faint"
    ACCENT = "accent"
    OK = "ok"
    RUN = "run"
    WAIT = "wait"
    ASK = "ask"
    WARN = "warn"
    BAD = "bad"
    BADGE = "badge"


class Piece(NamedTuple):
    text: str
    role: Role = Role.PLAIN


Cell = tuple[Piece, ...]
Row = tuple[Cell, ...]


def cell(text: str, role: Role = Role.PLAIN) -> Cell:
    """One piece; `text` may be foreign."""
    return (Piece(one_line(text), role),)


def text_of(line: Cell) -> str:
    return "".join(piece.text for piece in line)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list. `width` 0 shares what is left, by `flex`; shown only in lists at least
    `from_width` and less than `below_width` cells wide."""

    title: str
    width: int = 0
    right: bool = False
    from_width: int = 0
    below_width: int = 10_000
    flex: int = 1


def fit(columns: tuple[Column, ...], width: int, gap: int = 1) -> list[tuple[int, int]]:
    """(index, width) of the columns shown in a list `width` cells wide, left to right."""
    shown = [
        i for i, column in enumerate(columns) if column.from_width <= width < column.below_width
    ]
    fixed = sum(columns[i].width for i in shown) + gap * max(0, len(shown) - 1)
    flexible = [i for i in shown if not columns[i].width]
    left = max(0, width - fixed)
    shares = sum(columns[i].flex for i in flexible)
    widths = {i: left * columns[i].flex // shares for i in flexible}
    if flexible:
        widths[flexible[0]] += left - sum(widths.values())
    return [(i, columns[i].width or widths[i]) for i in shown]
