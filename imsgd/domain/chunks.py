"""Cutting a long reply into bubbles without breaking a character."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

_GRAPHEME = regex.compile(r"\X")
_BREAKS = ("\n\n", "\n", " ")


def chunked(text: str, *, limit: int) -> list[str]:
    """Split `text` at paragraphs, else lines, else spaces, else between characters.

    White space at a cut is left out, as a bubble's edge shows none; a text that fits is returned
    unchanged. No chunk is empty.
    """
    graphemes = _GRAPHEME.findall(text)
    chunks: list[str] = []
    start = 0
    while len(graphemes) - start > limit:
        end = _cut(graphemes, start, start + limit)
        chunks.append("".join(graphemes[start:end]))
        start = end
    chunks.append("".join(graphemes[start:]))
    if len(chunks) == 1:
        return chunks if text.strip() else []
    return [trimmed for chunk in chunks if (trimmed := chunk.strip(" \n"))]


def _cut(graphemes: list[str], start: int, end: int) -> int:
    window = "".join(graphemes[start:end])
    for mark in _BREAKS:
        at = window.rfind(mark)
        if at > len(window) // 2:
            return start + len(_GRAPHEME.findall(window[: at + len(mark)]))
    return end
