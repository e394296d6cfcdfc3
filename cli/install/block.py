"""A marked block in a file that belongs to somebody else: put in once, taken out without a trace.

Works on bytes, because such a file may be in any encoding. What the surroundings were like is
written in the first line of the block, so that taking it out gives back the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from cli.errors import SetUpError

BEGIN = b"# >>> mesh >>>"
END = b"# <<< mesh <<<"
NEW_FILE = b" (the file was made for it)"
NO_LINE_END = b" (the line before it had no end)"


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    first_line: bytes


def add_block(content: bytes | None, body: str) -> bytes:
    """The file with the block at its end, or with the one it has brought up to date.

    `content` None: there is no file yet. Raises SetUpError when the markers are damaged.
    """
    span = _find(content or b"")
    if span is not None and content is not None:
        block = span.first_line + b"\n" + body.encode() + END + b"\n"
        return content[: span.start] + block + content[span.stop :]
    note = NEW_FILE if content is None else b""
    before = content or b""
    if before and not before.endswith(b"\n"):
        before, note = before + b"\n", NO_LINE_END
    return before + BEGIN + note + b"\n" + body.encode() + END + b"\n"


def remove_block(content: bytes) -> bytes | None:
    """The file as it was before; None when it was made for the block and holds nothing else.

    Raises SetUpError when the markers are damaged.
    """
    span = _find(content)
    if span is None:
        return content
    before, after = content[: span.start], content[span.stop :]
    if span.first_line.endswith(NO_LINE_END) and not after:
        before = before.removesuffix(b"\n")
    rest = before + after
    return None if not rest and span.first_line.endswith(NEW_FILE) else rest


def has_block(content: bytes) -> bool:
    """Whether a whole block is there; raises SetUpError when the markers are damaged."""
    return _find(content) is not None


def _find(content: bytes) -> _Span | None:
    begins, ends, position = [], [], 0
    for line in content.splitlines(keepends=True):
        if line.startswith(BEGIN):
            begins.append((position, line.rstrip(b"\r\n")))
        elif line.startswith(END):
            ends.append(position + len(line))
        position += len(line)
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0] <= begins[0][0]:
        raise SetUpError(
            f"the marks of the mesh block are damaged ({len(begins)} begin, {len(ends)} end). "
            f"Remove by hand what is between {BEGIN.decode()} and {END.decode()}, and try again"
        )
    return _Span(begins[0][0], ends[0], begins[0][1])
