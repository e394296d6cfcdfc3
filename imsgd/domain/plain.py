"""Markdown as a person would type it in Messages, which shows the marks raw."""

from __future__ import annotations

import re
from collections.abc import Callable

_FENCE = re.compile(r"^\s*(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*$")
_RULE = re.compile(r"^\s{0,3}([-*_])(?:\s*\1){2,}\s*$")
_BULLET = re.compile(r"^(\s*)[*+]\s+")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{3,}:?\s*(?:\|\s*:?-{3,}:?\s*)+\|?\s*$")
_TABLE_ROW = re.compile(r"^\s*\|(.+)\|\s*$")
_CODE = re.compile(r"(`+)(.+?)\1")
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(([^)\s]+)[^)]*\)")
_LINK = re.compile(r"\[([^\]\n]+)\]\(((?:https?|mailto):[^)\s]+)[^)]*\)")
_STRONG = re.compile(r"(?<!\w)(\*\*\*|\*\*)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")


def to_plain(text: str) -> str:
    """Take Markdown marks away; code keeps every character, links keep their address."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced:
            lines.append(line)
        elif not _RULE.match(line) and not _TABLE_RULE.match(line):
            lines.append(_plain_line(line))
    return "\n".join(lines)


def _plain_line(line: str) -> str:
    row = _TABLE_ROW.match(line)
    if row:
        line = " · ".join(cell.strip() for cell in row[1].split("|") if cell.strip())
    heading = _HEADING.match(line)
    if heading:
        line = heading[1]
    return _outside_code(_BULLET.sub(r"\1- ", line), _plain_span)


def _outside_code(line: str, change: Callable[[str], str]) -> str:
    parts: list[str] = []
    at = 0
    for code in _CODE.finditer(line):
        parts += (change(line[at : code.start()]), code[2])
        at = code.end()
    parts.append(change(line[at:]))
    return "".join(parts)


def _plain_span(span: str) -> str:
    span = _IMAGE.sub(r"\1 \2", span)
    span = _LINK.sub(lambda link: link[2] if link[1] == link[2] else f"{link[1]} {link[2]}", span)
    span = _STRONG.sub(r"\2", span)
    return _EMPHASIS.sub(r"\1", span)
