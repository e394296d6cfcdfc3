"""The reader of message bodies: exact for every text, silent for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsgd.simulated.archive import with_attribute, write_body
from imsgd.typedstream import MAX_BLOB_BYTES, file_guids, read_text, transcription

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(texts, st.booleans())
def test_every_text_comes_back_as_it_was_written(text: str, mutable: bool) -> None:
    assert read_text(write_body(text, mutable=mutable)) == text


@pytest.mark.parametrize(
    "length", [0, 1, 126, 127, 128, 129, 255, 256, 8191, 8192, 8193, 65535, 65536, 200_000]
)
@pytest.mark.parametrize("letter", ["x", "é", "🌳"])
def test_the_length_counts_bytes_at_every_width(length: int, letter: str) -> None:
    text = letter * (length // len(letter.encode()))
    assert read_text(write_body(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "left ↄ right",  # its bytes end in 86 84, where careless readers stop
        "\n\nleading lines",
        "İ",
        "a\0b",
        "NSString\x01\x94\x84\x01+\x05fooled",
        "\u0084\u0001+",
    ],
)
def test_a_text_that_looks_like_the_format_is_read_whole(text: str) -> None:
    assert read_text(write_body(text)) == text


@given(st.binary(max_size=600))
def test_garbage_is_no_text_and_no_error(blob: bytes) -> None:
    assert read_text(blob) is None


@given(texts, st.data())
def test_a_damaged_body_never_raises(text: str, data: st.DataObject) -> None:
    blob = bytearray(write_body(text))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(blob) - 1))
        blob[position] = data.draw(st.integers(0, 255))
    result = read_text(bytes(blob))
    assert result is None or isinstance(result, str)


@given(texts, st.integers(min_value=0))
def test_a_body_cut_short_gives_the_whole_text_or_none(text: str, cut: int) -> None:
    blob = write_body(text)
    assert read_text(blob[: cut % len(blob)]) in (None, text)


def test_a_length_beyond_the_body_is_no_text() -> None:
    assert read_text(write_body("0123456789")[:-70]) is None


def test_another_root_class_is_no_text() -> None:
    blob = write_body("junk").replace(b"\x12NSAttributedString", b"\x0eNSMutableArray")
    assert read_text(blob) is None


def test_a_body_in_utf_16_is_understood() -> None:
    raw = "Grüße".encode("utf-16")
    blob = write_body("x" * len(raw)).replace(b"x" * len(raw), raw)
    assert read_text(blob) == "Grüße"


def test_what_is_too_large_or_missing_is_no_text() -> None:
    assert read_text(None) is None
    assert read_text(b"") is None
    assert read_text(write_body("x" * MAX_BLOB_BYTES)) is None


MEMO, FILE = "IMAudioTranscription", "__kIMFileTransferGUIDAttributeName"
GUID = "0A1B2C3D-0000-4000-8000-0123456789AB"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_the_words_of_a_voice_memo_are_read_from_its_attributes(words: str) -> None:
    """Case `audio_transcript`."""
    blob = with_attribute("\ufffc", MEMO, words)
    assert transcription(blob) == words
    assert read_text(blob) == "\ufffc"


@pytest.mark.parametrize("guid", [GUID, f"at_0_{GUID}", GUID.lower()])
def test_the_guids_of_files_are_read_from_the_attributes(guid: str) -> None:
    assert file_guids(with_attribute("\ufffc", FILE, guid)) == [guid]


def test_a_person_cannot_write_an_attribute() -> None:
    assert file_guids(write_body(f"{FILE} {GUID}")) == []
    assert file_guids(with_attribute(GUID, "__kIMMessagePartAttributeName", "x")) == []
    assert transcription(write_body(f"{MEMO}\x86\x92\x84\x96\x96\x02hi")) is None


@given(st.binary(max_size=80), st.integers(0, 200))
def test_damaged_attributes_are_none(noise: bytes, cut: int) -> None:
    blob = with_attribute("\ufffc", MEMO, "words that go on for a while")
    for damaged in (blob[:cut], blob[:-cut] + noise, noise):
        transcription(damaged)
        file_guids(damaged)
