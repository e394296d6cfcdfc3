"""Folding Claude's lines: what they mean, and the books they add up to."""

from __future__ import annotations

from typing import Any

import pytest

from agentd.runners.claude_outcome import classify
from agentd.runners.claude_stream import Fold
from agentd.runners.exits import Exit
from agentd.runners.protocol import (
    LimitNoticed,
    RetryNoticed,
    SessionStarted,
    TextSaid,
    ToolEnded,
    ToolStarted,
)
from common.wire.tasks import Cap, Outcome

MODEL = "claude-sonnet-5-5"
CLEAN = Exit(returncode=0)
FAILED = Exit(returncode=1)

Line = dict[str, Any]


def init() -> Line:
    return {"type": "system", "subtype": "init", "session_id": "s-1", "model": MODEL}


def stream(event: Line, parent: str | None = None) -> Line:
    return {"type": "stream_event", "event": event, "parent_tool_use_id": parent}


def opened(message_id: str, *, tokens: int = 10, model: str = MODEL) -> Line:
    usage = {"input_tokens": tokens, "output_tokens": 1, "cache_read_input_tokens": 5}
    message = {"id": message_id, "model": model, "usage": usage}
    return stream({"type": "message_start", "message": message})


def closed(tokens: int) -> Line:
    return stream({"type": "message_delta", "usage": {"output_tokens": tokens}})


def said(text: str) -> Line:
    delta = {"type": "text_delta", "text": text}
    return stream({"type": "content_block_delta", "index": 0, "delta": delta})


def result(**fields: Any) -> Line:
    line = {"type": "result", "subtype": "success", "is_error": False, "session_id": "s-1"}
    return line | {"result": "Fine.", "model_usage_since_last_result": {}} | fields


def settled(cost: float = 0.5, basis: str = "list", **tokens: int) -> Line:
    return {MODEL: {"costUSD": cost, "costBasis": basis} | tokens}


def fold(*lines: Line) -> Fold:
    folded = Fold()
    for line in lines:
        folded.take(line)
    return folded


def api_error(named: str, status: int | None, text: str = "it failed", **more: Any) -> list[Line]:
    return [
        init(),
        {
            "type": "assistant",
            "error": named,
            "message": {"model": "<synthetic>", "content": [{"type": "text", "text": text}]},
        },
        result(is_error=True, result=text, api_error_status=status, **more),
    ]


def test_a_session_starts_with_its_model() -> None:
    (event,) = Fold().take(init())
    assert event == SessionStarted(session_id="s-1", model=MODEL)


def test_text_of_the_main_agent_is_said_and_a_subagents_is_not() -> None:
    folded = Fold()
    assert folded.take(said("Hello")) == [TextSaid("Hello")]
    delta = {"type": "text_delta", "text": "inner"}
    inner = stream({"type": "content_block_delta", "delta": delta}, parent="toolu_1")
    assert folded.take(inner) == []


def test_two_texts_in_a_row_are_parted_and_a_tool_parts_by_itself() -> None:
    folded = Fold()
    begin = stream({"type": "content_block_start", "content_block": {"type": "text"}})
    assert folded.take(begin) == []
    folded.take(said("one"))
    assert folded.take(begin) == [TextSaid("\n\n")]
    tool = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    folded.take({"type": "assistant", "message": {"id": "m", "model": MODEL, "content": [tool]}})
    assert folded.take(begin) == []


def test_a_tool_call_is_joined_to_its_end() -> None:
    folded = Fold()
    tool = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls -l"}}
    begun = folded.take(
        {"type": "assistant", "message": {"id": "m", "model": MODEL, "content": [tool]}}
    )
    block = {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True}
    ended = folded.take({"type": "user", "message": {"content": [block]}})
    assert begun == [ToolStarted(tool_id="t1", tool="Bash", summary="ls -l")]
    assert ended == [ToolEnded(tool_id="t1", tool="Bash", text="no", is_error=True)]


def test_the_output_count_is_that_of_the_delta_not_of_the_start() -> None:
    (usage,) = fold(opened("m1"), closed(40)).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (10, 40, 5)
    assert usage.cost_usd is None


def test_a_result_settles_what_was_open_and_nothing_is_counted_twice() -> None:
    folded = fold(
        opened("m1"),
        closed(40),
        result(model_usage_since_last_result=settled(inputTokens=10, outputTokens=40)),
    )
    (usage,) = folded.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (10, 40, 0.5)
    assert not folded.partial
    assert folded.cost_usd == 0.5


def test_several_results_add_up() -> None:
    one = result(model_usage_since_last_result=settled(inputTokens=10, outputTokens=4))
    folded = fold(one, one)
    assert folded.usage[0].output_tokens == 8
    assert folded.cost_usd == 1.0


def test_what_came_after_the_last_result_is_partial_and_has_no_price() -> None:
    folded = fold(
        result(model_usage_since_last_result=settled(inputTokens=10, outputTokens=4)),
        opened("m2", tokens=3),
        closed(7),
    )
    assert folded.partial
    assert (folded.usage[0].input_tokens, folded.usage[0].output_tokens) == (13, 11)
    assert folded.cost_usd is None


def test_a_message_seen_in_pieces_and_whole_counts_once() -> None:
    usage = {"input_tokens": 10, "output_tokens": 1}
    whole = {
        "type": "assistant",
        "message": {"id": "m1", "model": MODEL, "usage": usage, "content": []},
    }
    folded = fold(opened("m1"), closed(40), whole, whole)
    assert folded.usage[0].output_tokens == 40


def test_a_model_whose_price_is_a_guess_has_none() -> None:
    unknown = settled(basis="unknown", inputTokens=1, outputTokens=1)
    folded = fold(result(model_usage_since_last_result=unknown))
    assert folded.usage[0].cost_usd is None
    assert folded.cost_usd is None


def test_a_retry_and_a_limit_are_noticed() -> None:
    folded = Fold()
    retry = {
        "type": "system",
        "subtype": "api_retry",
        "attempt": 2,
        "max_retries": 10,
        "retry_delay_ms": 1500,
        "error_status": 500,
    }
    assert folded.take(retry) == [RetryNoticed(attempt=2, of=10, delay_s=1.5, status=500)]
    info = {"status": "rejected", "resetsAt": 1_795_489_008}
    (limit,) = folded.take({"type": "rate_limit_event", "rate_limit_info": info})
    assert isinstance(limit, LimitNoticed)
    assert limit.resets_at is not None
    assert limit.resets_at.timestamp() == 1_795_489_008
    warning = {"status": "allowed_warning", "resetsAt": 1}
    assert folded.take({"type": "rate_limit_event", "rate_limit_info": warning}) == []


def test_a_line_of_an_unknown_kind_means_nothing() -> None:
    assert Fold().take({"type": "weather", "is": "fine"}) == []
    assert Fold().take({}) == []


def test_success_is_ok_with_its_text() -> None:
    ended = classify(fold(init(), result()), CLEAN)
    assert (ended.outcome, ended.text, ended.error) == (Outcome.OK, "Fine.", None)
    assert ended.session_id == "s-1"


def test_denied_calls_are_told_of_a_run_that_ended_well() -> None:
    denied = [{"tool_name": "Bash"}, {"tool_name": "Write"}]
    ended = classify(fold(init(), result(permission_denials=denied)), CLEAN)
    assert (ended.outcome, ended.error) == (Outcome.OK, "2 tool calls denied: Bash, Write")


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (api_error("authentication_failed", 401), Outcome.NEEDS_LOGIN),
        (api_error("billing_error", 400), Outcome.NEEDS_LOGIN),
        (api_error("rate_limit", 429), Outcome.PROVIDER_BUSY),
        (api_error("server_error", 500), Outcome.PROVIDER_BUSY),
        (api_error("server_error", None), Outcome.PROVIDER_BUSY),
        (api_error("model_not_found", 404), Outcome.PERMANENT),
        (api_error("invalid_request", 400), Outcome.PERMANENT),
        (api_error("max_output_tokens", None), Outcome.TASK_ERROR),
        (api_error("rate_limit", 429, api_error="usage_limit_reached"), Outcome.PROVIDER_LIMIT),
        (api_error("invalid_request", 400, stop_reason="refusal"), Outcome.TASK_ERROR),
        (api_error("unknown", 400, terminal_reason="prompt_too_long"), Outcome.PERMANENT),
        (api_error("a word of next year", 503), Outcome.PROVIDER_BUSY),
        (api_error("a word of next year", 401), Outcome.NEEDS_LOGIN),
        (api_error("a word of next year", 413), Outcome.PERMANENT),
        (api_error("a word of next year", None), Outcome.TASK_ERROR),
    ],
)
def test_a_failure_of_the_api_has_its_class(lines: list[Line], outcome: Outcome) -> None:
    ended = classify(fold(*lines), FAILED)
    assert ended.outcome is outcome
    assert ended.error == "it failed"
    assert ended.text == ""


def test_a_limit_carries_its_reset_time_and_other_ends_do_not() -> None:
    info = {"status": "rejected", "resetsAt": 1_795_489_008}
    event = {"type": "rate_limit_event", "rate_limit_info": info}
    limited = classify(fold(event, *api_error("rate_limit", 429)), FAILED)
    assert limited.outcome is Outcome.PROVIDER_LIMIT
    assert limited.resets_at is not None
    assert classify(fold(event, init(), result()), CLEAN).resets_at is None


@pytest.mark.parametrize(
    ("subtype", "cap"), [("error_max_turns", Cap.TURNS), ("error_max_budget_usd", Cap.BUDGET)]
)
def test_a_cap_is_named_and_only_the_tasks_own_is_the_end(subtype: str, cap: Cap) -> None:
    text = {"id": "m", "model": MODEL, "content": [{"type": "text", "text": "So far."}]}
    lines = [{"type": "assistant", "message": text}]
    capped = result(subtype=subtype, is_error=True, result=None, errors=["Reached it"])
    ended = classify(fold(init(), *lines, capped), FAILED)
    assert ended.outcome is Outcome.TASK_ERROR
    assert "Reached it" in (ended.error or "")
    assert ended.text == "So far."
    assert (ended.capped, ended.final) == (cap, cap is Cap.BUDGET)


STOPPED = result(subtype="error_during_execution", is_error=True, result=None, errors=["aborted"])


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (Exit(returncode=1, interrupted=True), Outcome.INTERRUPTED),
        (Exit(returncode=1, interrupted=True, killed=True), Outcome.KILLED),
        (Exit(returncode=1), Outcome.TASK_ERROR),
    ],
)
def test_an_execution_that_broke_off_is_ours_only_if_we_broke_it(
    end: Exit, outcome: Outcome
) -> None:
    assert classify(fold(init(), STOPPED), end).outcome is outcome


def test_a_session_that_is_gone_is_permanent() -> None:
    gone = result(
        subtype="error_during_execution",
        is_error=True,
        errors=["No conversation found with session ID: s-9"],
    )
    ended = classify(fold(gone), FAILED)
    assert ended.outcome is Outcome.PERMANENT
    assert "start afresh" in (ended.error or "")


@pytest.mark.parametrize(
    ("started", "end", "outcome"),
    [
        (True, Exit(returncode=-9, killed=True), Outcome.KILLED),
        (True, Exit(returncode=143, interrupted=True), Outcome.INTERRUPTED),
        (True, Exit(returncode=-9), Outcome.NODE_FAULT),
        (True, Exit(returncode=143), Outcome.NODE_FAULT),
        (True, Exit(returncode=0), Outcome.NODE_FAULT),
        (False, Exit(returncode=1, stderr="unknown agent x"), Outcome.PERMANENT),
        (False, Exit(returncode=1, stderr="Not logged in. Run /login"), Outcome.NEEDS_LOGIN),
        (False, Exit(returncode=0), Outcome.NODE_FAULT),
    ],
)
def test_an_end_without_a_result_is_judged_by_the_exit(
    started: bool, end: Exit, outcome: Outcome
) -> None:
    folded = fold(init()) if started else Fold()
    ended = classify(folded, end)
    assert ended.outcome is outcome
    assert ended.error


def test_only_a_cap_or_the_models_own_word_is_final() -> None:
    refused = api_error("invalid_request", 400, stop_reason="refusal")
    assert classify(fold(*refused), FAILED).final
    assert classify(fold(*api_error("max_output_tokens", None)), FAILED).final
    assert not classify(fold(init(), STOPPED), FAILED).final
    assert not classify(fold(*api_error("server_error", 500)), FAILED).final
