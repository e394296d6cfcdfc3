"""Recognising our own words, cutting them, and taking Markdown off them."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from common.panic import is_panic
from imsgd.domain.chunks import chunked
from imsgd.domain.plain import to_plain
from imsgd.domain.words import comparable, fingerprint, has_reply_form, visible


@pytest.mark.parametrize(
    ("sent", "came_back"),
    [
        ('it\'s "done" - ok', "it\u2019s “done” \u2013 ok"),
        ("e\u0301", "é"),
        ("❤\ufe0f done", "❤ done"),
        ("two\n lines ", "two lines"),
        ("wait...", "wait…"),
        ("a\u200bb", "ab"),
    ],
)
def test_what_messages_does_to_a_text_does_not_hide_it(sent: str, came_back: str) -> None:
    assert fingerprint(sent) == fingerprint(came_back)


@pytest.mark.parametrize(("one", "other"), [("👍", "👎"), ("?", "!"), ("#1 done", "#2 done")])
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


@given(st.text(max_size=80))
def test_comparing_is_stable(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)


def test_placeholders_are_no_words() -> None:
    assert visible("\ufffc\n hello \ufffd") == "hello"
    assert visible(None) == ""


@pytest.mark.parametrize(
    "text",
    [
        "stop all",
        "Stop  All",
        "STOP ALL!",
        "\ufffcstop all.\nplease",
        "stop everything",
        "Stop everything now!",
        "stop all, please",
        "stop it all",
        "cancel everything",
        "“Stop all.”",
    ],
)
def test_the_panic_word_is_recognised(text: str) -> None:
    assert is_panic(text)


@pytest.mark.parametrize(
    "text",
    ["stop", "stop 42", "please stop all", "stop all tests", "stopall", "stop please", "all", ""],
)
def test_other_words_are_no_panic(text: str) -> None:
    assert not is_panic(text)


def test_the_form_of_a_reply_is_recognised() -> None:
    assert has_reply_form("#42 done")
    assert not has_reply_form("# heading")
    assert not has_reply_form("see #42")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=600), st.integers(5, 50))
def test_chunks_keep_every_character_whole_and_in_order(text: str, limit: int) -> None:
    chunks = chunked(text, limit=limit)
    assert all(0 < len(regex.findall(r"\X", chunk)) <= limit for chunk in chunks if len(chunks) > 1)
    squeezed = regex.sub(r"[ \n]", "", text)
    assert regex.sub(r"[ \n]", "", "".join(chunks)) == (squeezed if text.strip() else "")
    graphemes = set(regex.findall(r"\X", text))
    if len(chunks) > 1:
        inner = {g for chunk in chunks for g in regex.findall(r"\X", chunk)[1:-1]}
        assert inner <= graphemes


def test_a_family_is_never_torn_apart() -> None:
    family = "👩\u200d👩\u200d👧\u200d👦"
    assert chunked(family * 7, limit=3) == [family * 3, family * 3, family]


def test_chunks_are_cut_where_a_reader_would() -> None:
    assert chunked("one two three four", limit=10) == ["one two", "three four"]
    assert chunked("first part\n\nsecond part", limit=14) == ["first part", "second part"]
    assert chunked("short", limit=10) == ["short"]
    assert chunked("  \n ", limit=10) == []


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("**bold** and *it*", "bold and it"),
        ("## Heading ##", "Heading"),
        ("`code` here", "code here"),
        ("```py\na * b * c\n**kwargs\n```", "a * b * c\n**kwargs"),
        ("[log](https://x.test/a)", "log https://x.test/a"),
        ("[https://x.test](https://x.test)", "https://x.test"),
        ("![plot](p.png)", "plot p.png"),
        ("* one\n+ two\n- three", "- one\n- two\n- three"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a · b\n1 · 2"),
        ("above\n---\nbelow", "above\nbelow"),
        ("2 * 3 * 4 and __init__ and a_b_c", "2 * 3 * 4 and __init__ and a_b_c"),
        ("#42 done · 3 s · $0.02", "#42 done · 3 s · $0.02"),
        ("`**kept**`", "**kept**"),
    ],
)
def test_markdown_marks_go_and_words_stay(markdown: str, plain: str) -> None:
    assert to_plain(markdown) == plain


@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=200))
def test_a_text_without_marks_is_not_touched(text: str) -> None:
    assert to_plain(text) == text
