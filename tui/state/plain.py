"""Foreign text made harmless for a terminal: no control, no escape, no change of direction.

Titles, prompts, output and texts come from messages and models. A terminal obeys escape
sequences wherever they come from, so every such text passes here before it is drawn.
"""

from __future__ import annotations

import re
import unicodedata

# CSI, OSC (ended by BEL or ST), and the two-character escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
)
_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = "\u00ad\u200b\u2060\u2061\u2062\u2063\u2064\ufeff"
TAB_CELLS = 4

_CONTROLS: dict[int, str | None] = dict.fromkeys(
    (*range(0x20), *range(0x7F, 0xA0), *map(ord, _BIDI), *range(0xE0000, 0xE0080)), "\ufffd"
)
_CONTROLS |= dict.fromkeys(map(ord, _INVISIBLE))
_LINE = _CONTROLS | {ord("\n"): " ", ord("\r"): " ", ord("\t"): " ", 0x2028: " ", 0x2029: " "}
_LINE |= {0x0B: " ", 0x0C: " ", 0x85: " "}
_PARAGRAPH = _CONTROLS | {ord("\n"): "\n", ord("\r"): None, ord("\t"): " " * TAB_CELLS}


def one_line(text: str) -> str:
    """`text` for a row: line breaks and tabs are blanks, escapes are gone, controls are marked."""
    if text.isprintable():  # then it has nothing that the tables above replace
        return text
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _separate(text.translate(_LINE))


def paragraphs(text: str) -> list[str]:
    """`text` as lines, each as harmless as `one_line` makes it, with tabs widened."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    text = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _separate(text.translate(_PARAGRAPH)).split("\n")


def exposed(text: str) -> list[str]:
    """`text` as lines in which every hidden character is spelt out: for what is to be approved."""
    return ["".join(map(_spelt, line)) for line in text.replace("\r\n", "\n").split("\n")]


def _spelt(char: str) -> str:
    if char == "\t":
        return "⇥ "
    if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}:
        return f"⟨U+{ord(char):04X}⟩"
    return char


def _separate(text: str) -> str:
    """Lone surrogates cannot be written to a terminal."""
    return text.encode("utf-8", "replace").decode("utf-8")
