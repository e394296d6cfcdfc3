"""Breaking cells into lines of a width, at blanks where there are any."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui.state.cells import Cell, Piece


def wrap_cell(line: Cell, width: int) -> list[Cell]:
    """The line as one or more lines of at most `width` cells; an empty one stays one line."""
    if width <= 0 or sum(cell_len(piece.text) for piece in line) <= width:
        return [line]
    lines: list[list[Piece]] = [[]]
    used = 0
    for piece in line:
        for word in _words(piece.text):
            size = cell_len(word)
            if used and used + cell_len(word.rstrip()) > width:
                lines.append([])
                used = 0
                word = word.lstrip()
                size = cell_len(word)
            while size > width:
                head, word = _cut(word, width - used)
                lines[-1].append(piece._replace(text=head))
                lines.append([])
                used, size = 0, cell_len(word)
            if word:
                lines[-1].append(piece._replace(text=word))
                used += size
    return [_joined(each) for each in lines]


def _words(text: str) -> list[str]:
    """`text` in words, each with the blanks that follow it."""
    found: list[str] = []
    start = 0
    for place in range(1, len(text)):
        if text[place - 1] == " " and text[place] != " ":
            found.append(text[start:place])
            start = place
    found.append(text[start:])
    return found


def _cut(text: str, width: int) -> tuple[str, str]:
    """`text` cut after at most `width` cells, but after one character at least."""
    head = set_cell_size(text, max(1, width))
    length = len(head)
    while length > 1 and (length > len(text) or not text.startswith(head[:length])):
        length -= 1
    return text[:length], text[length:]


def _joined(pieces: list[Piece]) -> Cell:
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].role is piece.role:
            joined[-1] = piece._replace(text=joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return tuple(joined)
