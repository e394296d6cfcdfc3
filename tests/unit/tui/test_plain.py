"""Foreign text reaches the terminal as text and nothing else."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tui.state.plain import exposed, one_line, paragraphs

FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(text: str) -> bool:
    return not BIDI & set(text) and all(unicodedata.category(c) not in FORBIDDEN for c in text)


@given(st.text())
def test_one_line_holds_no_control_no_break_no_change_of_direction(text: str) -> None:
    assert harmless(one_line(text))


@given(st.text())
def test_paragraphs_are_harmless_lines(text: str) -> None:
    assert all(harmless(line) for line in paragraphs(text))


@given(st.text())
def test_what_is_to_be_approved_shows_every_hidden_character(text: str) -> None:
    assert all(harmless(line) for line in exposed(text))


def test_escape_sequences_vanish_whole() -> None:
    hostile = (
        "a\x1b[31mred\x1b[0m b\x1b]52;c;ZXZpbA==\x07c \x1b]0;title\x1b\\d\x1bPq#0\x1b\\e\x1b7f"
    )
    assert one_line(hostile) == "ared bc def"


def test_a_break_becomes_a_blank_in_a_row_and_stays_one_in_paragraphs() -> None:
    assert one_line("a\r\nb\tc") == "a  b c"
    assert paragraphs("a\r\nb\tc\u2028d") == ["a", "b    c", "d"]


def test_exposed_spells_out_what_cannot_be_seen() -> None:
    assert exposed("rm\u202e -rf\u200b /\x1b[1m") == ["rm⟨U+202E⟩ -rf⟨U+200B⟩ /⟨U+001B⟩[1m"]


def test_plain_text_and_emoji_pass_unchanged() -> None:
    assert one_line("naïve 日本語 👩‍💻 ✓") == "naïve 日本語 👩‍💻 ✓"
