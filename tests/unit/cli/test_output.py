"""What is printed for people."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cli.commands.nodes import SPAN, state_of
from cli.commands.tasks import TASK_ID
from cli.output import compact, dollars, first_line, plain, print_table, span
from common.clock import to_datetime
from common.wire.nodes import NodeStatus


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\x08b", "\u202e", "\u200b", "\ufeff", "\x00"],
)
def test_foreign_text_can_neither_steer_the_terminal_nor_hide(hostile: str) -> None:
    kept = plain(f"before{hostile}after")

    assert not any(char in kept for char in "\x1b\x9b\x07\x08\x00\u202e\u200b\ufeff")
    assert kept.startswith("before")


def test_line_ends_and_tabs_stay() -> None:
    assert plain("a\r\nb\tc\rd") == "a\nb\tc\nd"


def test_a_table_shows_markup_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", ">N"], [("[bold]x[/bold] :smile:", "1")])

    assert "[bold]x[/bold] :smile:" in capsys.readouterr().out


def test_a_piped_table_is_not_cut_at_a_terminals_width(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", "B"], [("x" * 90, "y" * 60)])

    assert "y" * 60 in capsys.readouterr().out


def test_a_first_line_is_one_line_and_not_too_long() -> None:
    assert first_line("a\n  b\tc") == "a b c"
    assert first_line("x" * 70, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (59.9, "59s"), (60, "1m"), (3661, "1h01m"), (90_000, "1d1h")],
)
def test_spans_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_numbers_are_short() -> None:
    assert [compact(n) for n in (0, 999, 1000, 12_345, 4_100_000)] == [
        "0", "999", "1.0k", "12.3k", "4.1M",
    ]  # fmt: skip
    assert [dollars(usd) for usd in (None, 0.0, 0.0042, 0.25)] == ["-", "$0.00", "$0.0042", "$0.25"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400)]
)
def test_times_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert SPAN.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "0m", "1w", "-5m", "1.5h", "99999m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="is no time"):
        SPAN.convert(text, None, None)


@pytest.mark.parametrize("text", ["", "#", "0", "-1", "4 2", "²", str(2**63)])
def test_what_is_no_task_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="is no task"):
        TASK_ID.convert(text, None, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"online": False}, "away"),
        ({"draining": True, "drain_note": "on a train"}, "draining (on a train)"),
        ({"accepting": False, "not_accepting_reason": "no \x1bdisk"}, "takes no work (no disk)"),
        ({"accepting": False}, "takes no work"),
        ({}, "ready"),
    ],
)
def test_a_nodes_state_says_why_it_takes_no_work(fields: dict[str, Any], said: str) -> None:
    node = NodeStatus(name="rex", slots=2, registered_at=to_datetime(0.0), online=True)
    assert state_of(msgspec.structs.replace(node, **fields)) == said
