"""Names of files from elsewhere: whole, with an ending, and harmless. Case `file_names`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.filenames import disposed_name, disposition, numbered, safe_name, with_ending


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("sales.csv", "sales.csv"),
        ("Voice 3.m4a", "Voice 3.m4a"),
        ("Übersicht 日本 👩🏽‍🔧 (final).xlsx", "Übersicht 日本 👩🏽‍🔧 (final).xlsx"),
        ("u\u0308ber.txt", "über.txt"),
        ("Screenshot at 9.41\u202fAM.png", "Screenshot at 9.41 AM.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.png", "x.png"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        (".gitignore", "gitignore"),
        ("-rf", "rf"),
        ("a\0b\r\nc.txt", "ab  c.txt"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("CLAUDE.md", "file-CLAUDE.md"),
        ("folder/Agents.MD", "file-Agents.MD"),
    ],
)
def test_a_name_is_kept_whole_but_for_what_is_dangerous(given_name: str, kept: str) -> None:
    assert safe_name(given_name) == kept


@given(st.text(max_size=400))
def test_every_name_is_safe_and_stays_as_it_is_the_second_time(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= 255
    assert not set(safe) & set("/\\\0\n\r")
    assert not safe.startswith((".", "-"))
    assert safe_name(safe) == safe


@given(st.text("aé日👍", min_size=90, max_size=300))
def test_a_long_name_keeps_its_ending(stem: str) -> None:
    safe = safe_name(f"{stem}.docx")
    assert safe.endswith(".docx")
    assert len(safe.encode()) <= 200


@pytest.mark.parametrize(
    ("name", "media_type", "whole"),
    [
        ("Voice 3", "audio/mp4", "Voice 3.m4a"),
        ("memo", "audio/x-caf", "memo.caf"),
        ("notes", "text/markdown; charset=utf-8", "notes.md"),
        ("photo", "image/heic", "photo.heic"),
        ("contact", "text/vcard", "contact.vcf"),
        ("plan v2.5", "application/pdf", "plan v2.5.pdf"),
        ("Dr. No", "text/plain", "Dr. No.txt"),
        ("archive.7z", "application/octet-stream", "archive.7z"),
        ("data", "application/octet-stream", "data"),
        ("data", "no/such-type", "data"),
        ("sales.csv", "text/plain", "sales.csv"),
    ],
)
def test_a_name_without_ending_gets_that_of_its_type(
    name: str, media_type: str, whole: str
) -> None:
    assert with_ending(name, media_type) == whole


def test_a_number_goes_before_the_ending() -> None:
    assert numbered("photo.jpg", 2) == "photo-2.jpg"
    assert numbered("README", 3) == "README-3"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_comes_through_a_header_of_plain_ascii(name: str) -> None:
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert disposed_name(header) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment", None),
        ("attachment; filename=a.txt", "a.txt"),
        ('attachment; filename="a \\"b\\".txt"', 'a "b".txt'),
        ("attachment; filename=\"x\"; filename*=UTF-8'de'%C3%BC.txt", "ü.txt"),
        ("attachment; filename*=iso-8859-1''%FC.txt", "ü.txt"),
        ("attachment; filename=\"x.txt\"; filename*=no-such-charset''%FC.txt", "x.txt"),
    ],
)
def test_names_are_read_from_what_others_write(header: str, name: str | None) -> None:
    assert disposed_name(header) == name
