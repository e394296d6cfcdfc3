"""Calls sorted by length, and the sums the runners report of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentd.runners.claude_stream import Fold
from agentd.runners.command import CommandFold
from agentd.runners.exits import Exit
from agentd.runners.long_calls import added, long_calls_of, together
from common.wire.usage import COUNTS, LONG_CALLS, LongCalls, Usage

counts = st.integers(0, 600_000)
calls_of_a_run = st.lists(
    st.builds(
        Usage,
        model=st.just("m"),
        input_tokens=counts,
        cache_read_tokens=counts,
        cache_write_tokens=counts,
        output_tokens=counts,
    ),
    min_size=1,
    max_size=30,
)


@given(calls_of_a_run)
def test_every_call_is_in_the_sum_and_every_long_one_in_its_band(calls: list[Usage]) -> None:
    total: Usage | None = None
    for call in calls:
        total = added(total, call)
    assert total is not None
    assert total.calls == len(calls)
    for name in COUNTS:
        assert getattr(total, name) == sum(getattr(call, name) for call in calls)
    assert len(total.long_calls) <= len(LONG_CALLS)
    for band in total.long_calls:
        above = [bound for bound in LONG_CALLS if bound > band.over]
        inside = [
            call for call in calls if band.over < _length(call) <= (above[0] if above else 10**12)
        ]
        assert band.calls == len(inside)
        assert band.input_tokens == sum(call.input_tokens for call in inside)
    assert sum(b.calls for b in total.long_calls) == sum(_length(c) > 32_000 for c in calls)


def _length(call: Usage) -> int:
    return call.input_tokens + call.cache_read_tokens + call.cache_write_tokens


def test_a_call_at_the_bound_is_not_above_it() -> None:
    assert long_calls_of(Usage(model="m", input_tokens=32_000, calls=1)) == []
    (band,) = long_calls_of(Usage(model="m", input_tokens=272_001, calls=1))
    assert (band.over, band.calls, band.input_tokens) == (272_000, 1, 272_001)
    assert together([band, band]) == [LongCalls(over=272_000, calls=2, input_tokens=544_002)]


def test_a_sum_that_does_not_say_of_how_many_calls_says_nothing_about_their_length() -> None:
    assert long_calls_of(Usage(model="m", input_tokens=10**7)) == []


def told(*lines: dict[str, Any]) -> tuple[Usage, ...]:
    fold = CommandFold()
    for line in lines:
        list(fold.take(json.dumps(line).encode()))
    return fold.ended(Exit(returncode=0)).usage


def test_lines_of_single_calls_add_up_and_keep_their_lengths() -> None:
    call = {"mesh": "call", "model": "m", "input_tokens": 300_000, "output_tokens": 5}
    short = {"mesh": "call", "model": "m", "input_tokens": 10, "cost_usd": 0.5}
    (usage,) = told(call, short, call)
    assert (usage.input_tokens, usage.output_tokens, usage.calls) == (600_010, 10, 3)
    assert [(band.over, band.calls) for band in usage.long_calls] == [(272_000, 2)]
    assert usage.cost_usd is None, "one part has no price"


def test_a_line_of_totals_replaces_what_was_added_before() -> None:
    call = {"mesh": "call", "model": "m", "input_tokens": 5}
    (usage,) = told(call, {"mesh": "usage", "model": "m", "input_tokens": 7, "calls": 2})
    assert (usage.input_tokens, usage.calls) == (7, 2)


def test_claudes_messages_are_calls_and_stay_so_behind_a_result() -> None:
    def opened(message_id: str, tokens: int) -> dict[str, Any]:
        usage = {"input_tokens": 10, "cache_read_input_tokens": tokens, "output_tokens": 1}
        message = {"id": message_id, "model": "m", "usage": usage}
        event = {"type": "message_start", "message": message}
        return {"type": "stream_event", "event": event, "parent_tool_use_id": None}

    fold = Fold()
    for line in (opened("a", 250_000), opened("b", 20), opened("c", 210_000)):
        fold.take(line)
    (running,) = fold.usage
    assert [(band.over, band.calls) for band in running.long_calls] == [(200_000, 2)]
    settled = {"inputTokens": 30, "cacheReadInputTokens": 460_020, "costUSD": 1.0}
    fold.take({"type": "result", "model_usage_since_last_result": {"m": settled}})
    (usage,) = fold.usage
    assert usage.cost_usd == 1.0
    assert usage.long_calls == running.long_calls
    fold.take(opened("d", 220_000))
    assert [band.calls for band in fold.usage[0].long_calls] == [3]
