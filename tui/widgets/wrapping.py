"""Breaking cells into lines of a width, at blanks where there are any."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui.state.cells import Cell, Piece, Role

_BARS = {"▎", "│"}


def wrap_cell(line: Cell, width: int) -> list[Cell]:
    """The line as one or more lines of at most `width` cells; an empty one stays one line.

    What follows a name in a column of its own hangs under its beginning; a bar goes on.
    """
    if width <= 0 or sum(cell_len(piece.text) for piece in line) <= width:
        return [line]
    hang = _hang(line)
    room = cell_len(hang.text) if hang else 0
    if hang is None or room > width // 2:
        return _broken(line, width)
    first, *rest = _broken(line[1:], width - room)
    return [(line[0], *first), *((hang, *each) for each in rest)]


def _hang(line: Cell) -> Piece | None:
    """What stands before the second and later lines."""
    first = line[0]
    if len(line) < 2 or not first.text.endswith(" "):
        return None
    if first.text.strip() in _BARS:
        return first
    if first.role is Role.FAINT or (first.role is Role.STRONG and first.text.startswith("   ")):
        return Piece(" " * cell_len(first.text))
    return None


def _broken(line: Cell, width: int) -> list[Cell]:
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
    if joined:
        joined[-1] = joined[-1]._replace(text=joined[-1].text.rstrip())
    return tuple(joined)
