"""A person reads a call in lines, and two different calls never read alike (case plan_readable)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentd.runners.tool_text import detail_of, summary_of

PLAN = "# Move to SQLite\n\n1. Write the migration\n2. Switch the store"


def test_a_plan_is_text() -> None:
    said = detail_of("ExitPlanMode", {"plan": PLAN})
    assert "\\n" not in said
    assert "  1. Write the migration\n  2. Switch the store" in said
    assert summary_of("ExitPlanMode", {"plan": PLAN}).startswith("# Move to SQLite")


def test_an_edit_is_a_diff() -> None:
    call = {
        "file_path": "/x/app.py", "old_string": "def a():\n    return 1\n",
        "new_string": "def a():\n    return 2\n", "replace_all": True,
    }  # fmt: skip
    assert detail_of("Edit", call).split("\n") == [
        "file_path: /x/app.py", "the change:", " def a():", "-    return 1", "+    return 2", " ",
        "replace_all: true",
    ]  # fmt: skip


def test_several_edits_and_a_new_file_are_diffs() -> None:
    edits = [{"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": "d"}]
    said = detail_of("MultiEdit", {"file_path": "/x/m.py", "edits": edits})
    assert said.split("\n") == [
        "file_path: /x/m.py",
        "the change:",
        "-a",
        "+b",
        "the change:",
        "-c",
        "+d",
    ]
    assert "+one\n+two" in detail_of("Write", {"file_path": "/x/n", "content": "one\ntwo"})


def test_a_command_is_a_command_whole_and_line_by_line() -> None:
    assert detail_of("Bash", {"command": "npm test", "description": "x"}) == "command: npm test"
    said = detail_of("Bash", {"command": "set -e\nrm -rf build", "timeout": 5})
    assert said == "command:\n  set -e\n  rm -rf build\ntimeout: 5"


def test_arguments_of_a_foreign_tool_are_lines() -> None:
    said = detail_of("mcp__t__new", {"title": "A bug", "body": "one\ntwo", "labels": ["x", "y"]})
    assert said == 'body:\n  one\n  two\nlabels: ["x", "y"]\ntitle: A bug'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text('ab1:, \n-+"[', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab:\n ,1", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
CALLS = st.dictionaries(
    st.sampled_from(["command", "plan", "old_string", "new_string", "content", "file_path", "edits",
                     "a", "change", "and a"]),
    JSON, max_size=4,
)  # fmt: skip


@pytest.mark.parametrize("tool", ["Bash", "Edit", "MultiEdit", "Write", "ExitPlanMode", "mcp__x"])
@given(one=CALLS, other=CALLS)
@example(one={"content": "a\nb: 1"}, other={"content": "a", "b": 1})
@example(one={"edits": []}, other={})
@example(
    one={"edits": [{"old_string": " and a: 1", "new_string": " and a: 1"}]},
    other={"edits": [{"old_string": "x", "new_string": "x", "a": 1}]},
)
@example(one={"old_string": " a\n b", "new_string": " a\n b"}, other={"change": "a\nb"})
@example(one={"content": "a", "-b": 1}, other={"content": "a\n-b: 1"})
@example(one={"a": "1"}, other={"a": 1})
@example(one={"a": "x\n"}, other={"a": "x"})
@example(one={"a": ["x\n"]}, other={"a": {"1": "x\n"}})
def test_different_calls_never_read_alike(
    tool: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (detail_of(tool, one) == detail_of(tool, other)) is same
