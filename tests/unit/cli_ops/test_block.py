"""The marked block in somebody else's file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import SetUpError
from cli.install.block import BEGIN, END, add_block, has_block, remove_block

BODY = "start it\n"

contents = st.one_of(
    st.none(),
    st.binary().filter(lambda text: BEGIN not in text and END not in text),
)


@given(contents)
def test_taking_the_block_out_gives_back_the_same_bytes(content: bytes | None) -> None:
    added = add_block(content, BODY)
    assert has_block(added)
    assert remove_block(added) == content


@given(contents)
def test_putting_it_in_twice_changes_nothing(content: bytes | None) -> None:
    added = add_block(content, BODY)
    assert add_block(added, BODY) == added


@given(contents)
def test_a_newer_block_takes_the_place_of_the_old_one(content: bytes | None) -> None:
    renewed = add_block(add_block(content, "old one\n"), BODY)
    assert renewed == add_block(content, BODY)
    assert remove_block(renewed) == content


def test_what_was_written_after_the_block_stays() -> None:
    added = add_block(b"export A=1", BODY) + b"export B=2\n"
    assert remove_block(added) == b"export A=1\nexport B=2\n"


def test_a_file_made_for_the_block_stays_when_more_is_in_it() -> None:
    assert remove_block(add_block(None, BODY) + b"mine\n") == b"mine\n"


def test_without_a_block_nothing_is_taken_out() -> None:
    assert remove_block(b"mine\n") == b"mine\n"
    assert not has_block(b"mine\n")


@pytest.mark.parametrize(
    "damaged",
    [
        BEGIN + b"\nbody\n",
        b"body\n" + END + b"\n",
        END + b"\n" + BEGIN + b"\n",
        (BEGIN + b"\n" + END + b"\n") * 2,
    ],
)
def test_damaged_marks_are_left_to_a_person(damaged: bytes) -> None:
    for touch in (lambda: add_block(damaged, BODY), lambda: remove_block(damaged)):
        with pytest.raises(SetUpError, match="by hand"):
            touch()
