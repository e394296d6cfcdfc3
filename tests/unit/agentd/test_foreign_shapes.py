"""Whatever shape a runner's program prints, its run ends once, and keeps what could be read.

The kind behind `null_in_result`, `null_in_stream`, `limit_in_ms`, `empty_result`: every field of
every line in turn is null, gone, of another type, absurd, or the whole line is none.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.lines import json_object
from agentd.runners.claude_outcome import classify
from agentd.runners.claude_stream import Fold
from agentd.runners.codex import CodexFold
from agentd.runners.command import CommandFold
from agentd.runners.exits import Exit
from agentd.runners.foreign import MAX_COUNT, Oddities, Part, moment_of
from agentd.runners.protocol import Ended, Event, Noticed
from agentd.runners.reader import Reader
from common.wire.nodes import PostResult
from common.wire.notices import NoticeKind
from common.wire.tasks import Outcome

MODEL = "claude-sonnet-5-5"
ANSWER = "All 12 tests pass now."
Line = dict[str, Any]

USED = {
    "input_tokens": 10,
    "output_tokens": 40,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 7,
    "cache_creation": {"ephemeral_1h_input_tokens": 7},
}
ACCOUNT = {
    "inputTokens": 10,
    "outputTokens": 40,
    "cacheReadInputTokens": 5,
    "cacheCreationInputTokens": 7,
    "cacheCreationEphemeral1hInputTokens": 7,
    "costUSD": 0.01,
    "costBasis": "list",
}


def claude_event(event: Line) -> Line:
    return {"type": "stream_event", "event": event, "parent_tool_use_id": None}


def block(content: Line) -> Line:
    message = {"id": "m1", "model": MODEL, "role": "assistant", "content": [content], "usage": USED}
    return {"type": "assistant", "parent_tool_use_id": None, "message": message}


CLAUDE: list[Line] = [
    {"type": "system", "subtype": "session_state_changed", "state": "running"},
    {
        "type": "system",
        "subtype": "init",
        "session_id": "s-1",
        "model": MODEL,
        "tools": ["Bash"],
        "mcp_servers": [{"name": "docs", "status": "connected"}],
    },
    {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10,
     "retry_delay_ms": 500.0, "error_status": 529, "error": "overloaded"},
    claude_event(
        {"type": "message_start",
         "message": {"id": "m1", "model": MODEL, "usage": USED | {"output_tokens": 1}}}
    ),
    claude_event({"type": "content_block_start", "content_block": {"type": "text"}}),
    claude_event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": ANSWER}}),
    block({"type": "text", "text": ANSWER}),
    block({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}),
    claude_event({"type": "message_delta", "usage": {"output_tokens": 40}}),
    {"type": "user", "parent_tool_use_id": None, "message": {"content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a"}],
         "is_error": False}]}},
    {"type": "system", "subtype": "task_started", "task_id": "a1", "tool_use_id": "t1"},
    {"type": "system", "subtype": "task_updated", "task_id": "a1", "patch": {"status": "running"}},
    {"type": "system", "subtype": "task_notification", "task_id": "a1", "status": "completed"},
    {"type": "rate_limit_event", "rate_limit_info": {
        "status": "allowed", "resetsAt": 1_800_000_000, "rateLimitType": "five_hour"}},
    {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": ANSWER,
        "session_id": "s-1",
        "num_turns": 1,
        "stop_reason": "end_turn",
        "terminal_reason": "completed",
        "permission_denials": [{"tool_name": "Bash", "tool_use_id": "t9", "tool_input": {}}],
        "usage": USED,
        "model_usage_since_last_result": {MODEL: ACCOUNT},
    },
    {"type": "system", "subtype": "session_state_changed", "state": "idle"},
]  # fmt: skip

CODEX: list[Line] = [
    {"type": "thread.started", "thread_id": "th-1"},
    {"type": "turn.started"},
    {"type": "item.started", "item": {"id": "i1", "type": "command_execution", "command": "ls"}},
    {"type": "item.completed", "item": {"id": "i1", "type": "command_execution", "command": "ls",
     "aggregated_output": "a", "exit_code": 0, "status": "completed"}},
    {"type": "item.completed", "item": {"id": "i2", "type": "reasoning", "text": "hm"}},
    {"type": "item.completed", "item": {"id": "i3", "type": "agent_message", "text": ANSWER}},
    {"type": "error", "message": "stream error: status 503; retrying"},
    {"type": "turn.completed", "usage": {"input_tokens": 22, "cached_input_tokens": 5,
     "cache_write_input_tokens": 7, "output_tokens": 40, "reasoning_output_tokens": 3}},
]  # fmt: skip

COMMAND: list[Line] = [
    {"mesh": "session", "id": "s-1"},
    {"mesh": "tool", "id": "1", "tool": "ls", "text": "ls"},
    {"mesh": "tool", "id": "1", "tool": "ls", "text": "a", "done": True, "is_error": False},
    {"mesh": "text", "text": ANSWER},
    {"mesh": "call", "model": "w-2", "input_tokens": 1, "output_tokens": 1, "calls": 1},
    {"mesh": "usage", "model": "w-1", "input_tokens": 10, "output_tokens": 40,
     "cache_read_tokens": 5, "cache_write_tokens": 7, "cost_usd": 0.01},
]  # fmt: skip


@dataclass
class Played:
    """What a runner's reader made of the lines."""

    events: list[Event]
    ended: Ended
    odd: Oddities


def play_claude(lines: list[bytes]) -> Played:
    fold = Fold()

    def take(raw: bytes) -> list[Event]:
        line = json_object(raw)
        return [] if line is None else fold.take(line)

    return played(lines, Reader("claude", take, fold.odd), fold.odd, lambda e: classify(fold, e))


def play_codex(lines: list[bytes]) -> Played:
    fold = CodexFold(model=MODEL, earlier=lambda _: {}, remember=lambda *_: None)
    return played(lines, Reader("codex", fold.take, fold.odd), fold.odd, fold.ended)


def play_command(lines: list[bytes]) -> Played:
    fold = CommandFold()
    return played(lines, Reader("command", fold.take, fold.odd), fold.odd, fold.ended)


def played(
    lines: list[bytes], reader: Reader, odd: Oddities, end: Callable[[Exit], Ended]
) -> Played:
    events = [event for line in lines for event in reader.events(line)]
    return Played(events, end(Exit(returncode=0)), odd)


RUNNERS = {
    "claude": (CLAUDE, play_claude),
    "codex": (CODEX, play_codex),
    "command": (COMMAND, play_command),
}

DEEP: Any = "bottom"
for _ in range(60):
    DEEP = {"in": [DEEP]}

ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, -(10**400), math.nan, math.inf, "", "x" * 100_000, "cut \ud83d",
    [], {}, [None], [[1]], {"a": None}, [{"text": None}], DEEP,
]  # fmt: skip
GONE = object()


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*at, key))


def changed(line: Line, path: tuple[Any, ...], value: Any) -> Line:
    line = copy.deepcopy(line)
    holder: Any = line
    for key in path[:-1]:
        holder = holder[key]
    if value is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return line


def found(line: Line, path: tuple[Any, ...]) -> Any:
    value: Any = line
    for key in path:
        value = value[key]
    return value


def means_something(before: Any, after: Any) -> bool:
    """Another value of the right type is another meaning, and no odd shape."""
    if before is None:
        return isinstance(after, str)
    if isinstance(before, bool) or isinstance(after, bool):
        return isinstance(before, bool) and isinstance(after, bool)
    if isinstance(before, int | float) and isinstance(after, int | float):
        return 0 <= after <= MAX_COUNT
    return type(before) is type(after)


CASES = [
    (name, number, path)
    for name, (lines, _) in RUNNERS.items()
    for number, line in enumerate(lines)
    for path in paths(line)
]


@given(st.sampled_from(CASES), st.sampled_from([*ODD, GONE]))
def test_one_odd_field_costs_neither_the_run_nor_the_answer_nor_the_rest(
    case: tuple[str, int, tuple[Any, ...]], value: Any
) -> None:
    name, number, path = case
    sample, play = RUNNERS[name]
    if value is not GONE and means_something(found(sample[number], path), value):
        return
    lines = list(sample)
    lines[number] = changed(sample[number], path, value)
    seen = play([json.dumps(line).encode() for line in lines])
    assert_kept(name, seen)
    if not any("sage" in str(key) or key in ("id", "model") for key in path) and len(path) > 1:
        assert sum(item.output_tokens for item in seen.ended.usage) >= 40


def assert_kept(name: str, seen: Played) -> None:
    ended = seen.ended
    assert "a line that agentd failed to read" not in seen.odd._known
    if name != "claude" or ended.outcome is not Outcome.OK:
        # Codex and a command say their answer once: the line that held it may be the odd one.
        assert ended.text in ("", ANSWER) or name == "command"
    else:
        assert ANSWER in ended.text
    assert ended.outcome in (Outcome.OK, Outcome.TASK_ERROR, Outcome.NODE_FAULT, Outcome.PERMANENT)
    for usage in ended.usage:
        assert usage.input_tokens <= 10 + 5 + 7
        assert usage.output_tokens <= 41
    posted = PostResult(
        outcome=ended.outcome,
        text=ended.text,
        usage=list(ended.usage),
        cost_usd=ended.cost_usd,
        session_id=ended.session_id,
        notices=list(ended.notices),
    )
    assert msgspec.json.decode(msgspec.json.encode(posted), type=PostResult) == posted
    assert sum(isinstance(event, Noticed) for event in seen.events) <= 20


NO_LINES = [
    b"", b"\r", b"not json", b"null", b"[1]", b'"text"', b"12", b"{", b'{"type":', b"\xff\xfe",
    b'{"type": null}', b'{"type": ["result"]}', b'{"type": "result"', b'{"type": {}}',
    b'{"type":"assistant","message":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, b"{}",
    b'{"mesh": null}', b'{"mesh": []}', b"\x1b[31mwarning\x1b[0m",
]  # fmt: skip


@given(st.sampled_from(sorted(RUNNERS)), st.data())
def test_lines_that_are_none_between_the_others_change_nothing(
    name: str, data: st.DataObject
) -> None:
    sample, play = RUNNERS[name]
    lines = [json.dumps(line).encode() for line in sample]
    whole = play(lines).ended
    for _ in range(data.draw(st.integers(1, 4))):
        lines.insert(data.draw(st.integers(0, len(lines))), data.draw(st.sampled_from(NO_LINES)))
    ended = play(lines).ended
    assert (ended.outcome, ended.usage, ended.session_id) == (
        whole.outcome,
        whole.usage,
        whole.session_id,
    )
    assert ANSWER in ended.text


@pytest.mark.parametrize("name", sorted(RUNNERS))
def test_a_byte_order_mark_and_carriage_returns_change_nothing(name: str) -> None:
    sample, play = RUNNERS[name]
    plain = [json.dumps(line).encode() for line in sample]
    odd = [b"\xef\xbb\xbf" + line + b"\r" for line in plain]
    assert play(odd).ended == play(plain).ended


def test_an_odd_kind_is_told_once_and_without_what_was_in_it() -> None:
    secret = "sk-very-secret"
    line = block({"type": "text", "text": "Working"}) | {"message": {"usage": secret, "id": "m0"}}
    seen = play_claude([json.dumps(line).encode()] * 5)
    told = [event.text for event in seen.events if isinstance(event, Noticed)]
    assert (
        told.count(
            "claude wrote something unexpected, left out: assistant.message.usage is not an object"
        )
        == 1
    )
    assert not any(secret in text for text in told)


def test_no_kind_of_oddity_can_flood_the_output() -> None:
    odd = Oddities()
    for number in range(1000):
        odd.note(f"kind {number}")
    assert len(odd.untold()) == 20
    assert odd.untold() == []


NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    "value",
    [
        EPOCH,
        float(EPOCH),
        EPOCH * 1000,
        EPOCH * 10**6,
        EPOCH * 10**9,
        str(EPOCH),
        f"{EPOCH}.0",
        f" {EPOCH * 1000} ",
        "2026-11-28T12:00:00Z",
        "2026-11-28T13:00:00+01:00",
        "2026-11-28T12:00:00",
        "2026-11-28 12:00:00",
    ],
)
def test_a_moment_is_read_in_every_unit_and_notation(value: object) -> None:
    assert moment_of(value) == NOW


@pytest.mark.parametrize(
    "value",
    [None, True, "", "soon", "3pm", -1, 0, 12, 1e300, 10**400, math.nan, math.inf, "nan", "inf",
     "1e400", [], {}, EPOCH * 10**12, "0001-01-01", "9999-12-31T23:59:59-14:00", 32503680000],
)  # fmt: skip
def test_what_cannot_be_a_moment_is_unknown(value: object) -> None:
    assert moment_of(value) is None


def test_counts_and_money_that_cannot_be_are_left_out() -> None:
    odd = Oddities()
    used = Part(
        {"a": -1, "b": 10**13, "c": True, "d": 4.0, "e": "5", "f": -0.5, "g": 1e9}, odd, "x"
    )
    assert [used.count(key) for key in "abcde"] == [0, 0, 0, 4, 0]
    assert [used.dollars(key) for key in "fg"] == [None, None]
    assert len(odd.untold()) == 6


def result(**fields: Any) -> Line:
    return CLAUDE[-2] | fields


def ended_by(*lines: Line) -> Ended:
    return play_claude([json.dumps(line).encode() for line in lines]).ended


def said(text: str, **fields: Any) -> Line:
    return block({"type": "text", "text": text}) | fields


@pytest.mark.parametrize("empty", ["", "  \n", None, [], 0])
def test_an_empty_result_is_what_was_said_last(empty: object) -> None:
    assert ended_by(said("Let me see."), said("Paris."), result(result=empty)).text == "Paris."


def test_a_message_whose_content_is_a_bare_string_was_said() -> None:
    bare = said("x") | {"message": {"id": "m", "model": MODEL, "content": "Paris."}}
    assert ended_by(bare, result(result="")).text == "Paris."


def test_what_a_subagent_said_is_no_answer() -> None:
    inner = said("Inner.", parent_tool_use_id="t1")
    assert ended_by(said("Paris."), inner, result(result="")).text == "Paris."


def test_the_last_result_with_content_is_the_answer() -> None:
    first, second = result(result="I will wait for the reviewer."), result(result="3 bugs.")
    assert ended_by(first, second).text == "3 bugs."
    assert ended_by(first, second, result(result="")).text == "3 bugs."
    assert ended_by(first, said("3 bugs."), result(result="")).text == "3 bugs."
    assert "3 bugs." in ended_by(first, said("3 bugs.")).text


def test_usage_that_a_result_does_not_give_is_that_of_its_messages() -> None:
    for broken in (None, {}, [], {MODEL: None}, {MODEL: {"inputTokens": None}}):
        line = said("Paris.") | {}
        ended = ended_by(CLAUDE[3], CLAUDE[8], line, result(model_usage_since_last_result=broken))
        if broken == {}:
            continue  # the CLI's own word that nothing was used
        (usage,) = ended.usage
        assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (10, 40, None)


STATE = "session_state_changed"


def over_after(*lines: Line) -> bool | None:
    fold = Fold()
    for line in lines:
        fold.take(line)
    return fold.over


def system(subtype: str, **fields: Any) -> Line:
    return {"type": "system", "subtype": subtype} | fields


def test_the_states_decide_and_not_silence_once_one_was_told() -> None:
    running, idle = system(STATE, state="running"), system(STATE, state="idle")
    assert over_after(result()) is None
    assert over_after(running, result()) is False
    assert over_after(running, result(), idle) is True
    assert over_after(running, result(), idle, running) is False
    assert over_after(running, result(), idle, CLAUDE[1]) is False
    assert over_after(running, idle) is False


def test_without_states_work_in_the_background_is_waited_for() -> None:
    started = system("task_started", task_id="a1")
    assert over_after(started, result()) is False
    assert over_after(started, result(), CLAUDE[12]) is None
    killed = system("task_updated", task_id="a1", patch={"status": "killed"})
    assert over_after(started, result(), killed) is None


def kinds(ended: Ended) -> list[str]:
    return [item.kind for item in ended.notices]


def init(*servers: tuple[str, str]) -> Line:
    listed = [{"name": name, "status": status} for name, status in servers]
    return CLAUDE[1] | {"mcp_servers": listed}


def well(**fields: Any) -> Line:
    return result(permission_denials=[], **fields)


def test_a_missing_tool_server_is_said_with_the_answer() -> None:
    ended = ended_by(
        init(("tickets", "failed"), ("docs", "connected"), ("mail", "needs-auth")), well()
    )
    assert [item.text for item in ended.notices] == [
        "tickets (MCP) was missing",
        "mail (MCP) needs a login",
    ]
    assert (
        ended_by(init(("tickets", "failed")), init(("tickets", "connected")), well()).notices == ()
    )
    assert ended_by(init(("tickets", "pending"), ("off", "disabled")), well()).notices == ()


def test_denied_calls_are_said_and_all_of_them_more_clearly() -> None:
    call = block({"type": "tool_use", "id": "t1", "name": "Bash", "input": {}})
    one = result(permission_denials=[{"tool_name": "Bash", "tool_use_id": "t9"}])
    assert [item.text for item in ended_by(call, one).notices] == ["1 tool call was denied (Bash)"]
    every = result(permission_denials=[{"tool_name": "Bash", "tool_use_id": "t1"}])
    assert [item.text for item in ended_by(call, every).notices] == [
        "every tool call was denied (Bash)"
    ]
    told = system("permission_denied", tool_name="Bash", tool_use_id="t1")
    assert kinds(ended_by(call, told, well())) == [NoticeKind.TOOLS_DENIED]


def test_a_fallback_a_cut_and_a_limit_are_said() -> None:
    fallback = system("model_fallback", fallback_model="claude-haiku-5-5")
    assert kinds(ended_by(fallback, well())) == [NoticeKind.MODEL_FALLBACK]
    assert kinds(ended_by(well(stop_reason="max_tokens"))) == [NoticeKind.TRUNCATED]
    words = "You've hit your 5-hour limit · resets 1:34pm (UTC)"
    assert kinds(ended_by(well(result=words))) == [NoticeKind.LIMIT]
    assert ended_by(well()).notices == ()
    assert ended_by(well(result="The limit of x is 3. " * 30)).notices == ()


@pytest.mark.parametrize(
    ("words", "resets"),
    [
        ("You've hit your 5-hour limit · resets 1:34pm (UTC)", None),
        ("You've reached your weekly limit", None),
        (f"Claude AI usage limit reached|{EPOCH}", NOW),
    ],
)
def test_a_limit_told_only_in_words_is_a_limit(words: str, resets: datetime | None) -> None:
    failed = block({"type": "text", "text": words}) | {"error": "rate_limit"}
    ended = ended_by(failed, well(is_error=True, result=words, api_error_status=429))
    assert (ended.outcome, ended.resets_at) == (Outcome.PROVIDER_LIMIT, resets)
