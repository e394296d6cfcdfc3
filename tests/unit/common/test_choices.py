"""Numbers and names mean their choices, in the forms people write them (case multi_select)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.choices import NoSuchChoiceError, picked

CHECKS = ["lint", "types", "e2e"]


@pytest.mark.parametrize(
    "said",
    ["1,3", "1 3", "1, 3", "3,1", "1 and 3", "1 & 3", "#1 #3", "1. 3.", "lint, e2e", "LINT and e2e",
     "lint + 3", "1,3.", "1/3", "1,3,3"],
)  # fmt: skip
def test_several_are_joined_as_claude_joins_them(said: str) -> None:
    assert picked(CHECKS, said) == "lint, e2e"


@pytest.mark.parametrize("said", ["2", "2.", "#2", "types", "TYPES", "ty", " 2 "])
def test_one_is_its_label(said: str) -> None:
    assert picked(CHECKS, said) == "types"


@pytest.mark.parametrize("said", ["0", "4", "1,9", "1 2 7"])
def test_a_number_out_of_range_is_no_answer(said: str) -> None:
    with pytest.raises(NoSuchChoiceError):
        picked(CHECKS, said)


@pytest.mark.parametrize(
    "said", ["none of them, only the docs", "yes", "lint but not twice", "5 km"]
)
def test_anything_else_is_the_answer_itself(said: str) -> None:
    assert picked(CHECKS, said) == said


def test_a_choice_that_is_a_number_goes_before_a_place() -> None:
    assert picked(["4", "2"], "2") == "2"


def test_a_choice_with_a_comma_is_one_choice() -> None:
    assert picked(["red, green", "blue"], "red, green") == "red, green"


@given(st.lists(st.text(min_size=1), max_size=5), st.text())
def test_nothing_said_breaks_it(choices: list[str], said: str) -> None:
    try:
        assert isinstance(picked(choices, said), str)
    except NoSuchChoiceError:
        assert any(char.isdigit() for char in said)
