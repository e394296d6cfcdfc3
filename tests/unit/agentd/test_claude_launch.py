"""Claude's command line, its questions, and how calls are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentd.errors import RunnerUnavailableError
from agentd.runners.claude_launch import ClaudeSettings, checked_version, command_line
from agentd.runners.claude_questions import PendingRequest, granted_by, opening_prompt
from agentd.runners.foreign import Oddities, Part
from agentd.runners.protocol import Answer, Job
from agentd.runners.tool_text import DETAIL_CHARS, detail_of, summary_of
from agentd.specialists import Specialist
from common.wire.approvals import Decision
from common.wire.nodes import ResumeAnswer

AUDITOR = Specialist(
    name="auditor",
    description="Reads.",
    prompt="You read.",
    tools=("Read",),
    model="opus",
    extra={"permissionMode": "default", "color": "red"},
)


def job(**fields: Any) -> Job:
    return Job(fence=1, prompt="-p is text", folder=Path("/w"), environment={}, **fields)


def argv(settings: ClaudeSettings | None = None, **fields: Any) -> list[str]:
    settings = settings or ClaudeSettings(model="sonnet")
    return command_line("/bin/claude", settings, job(**fields), new_session_id="new-id")


def value_of(line: list[str], flag: str) -> str | None:
    found = [word.removeprefix(f"{flag}=") for word in line if word.startswith(f"{flag}=")]
    return found[0] if found else None


def test_the_prompt_is_never_in_argv() -> None:
    assert not any("-p is text" in word for word in argv())


def test_a_new_session_is_named_and_an_old_one_resumed() -> None:
    assert value_of(argv(), "--session-id") == "new-id"
    resumed = argv(session_id="old-id")
    assert value_of(resumed, "--resume") == "old-id"
    assert value_of(resumed, "--session-id") is None


def test_a_repository_is_distrusted_unless_its_owner_says_otherwise() -> None:
    assert value_of(argv(), "--setting-sources") == "user"
    assert "--strict-mcp-config" in argv()
    trusted = argv(trust_project=True)
    assert value_of(trusted, "--setting-sources") == "user,project,local"
    assert "--strict-mcp-config" not in trusted


def test_limits_are_passed_only_where_there_are_any() -> None:
    bounded = argv(max_turns=5, max_cost_usd=0.25)
    assert value_of(bounded, "--max-turns") == "5"
    assert value_of(bounded, "--max-budget-usd") == "0.250000"
    assert not any(word.startswith("--max-") for word in argv())


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        ({}, "sonnet"),
        ({"model": "haiku"}, "haiku"),
        ({"specialist": AUDITOR}, None),
        ({"specialist": AUDITOR, "model": "haiku"}, "haiku"),
    ],
)
def test_the_model_is_the_tasks_else_the_specialists_else_the_configured(
    fields: dict[str, Any], model: str | None
) -> None:
    assert value_of(argv(**fields), "--model") == model


def test_a_specialist_becomes_the_main_agent_with_its_own_mode() -> None:
    line = argv(specialist=AUDITOR)
    assert value_of(line, "--agent") == "auditor"
    table = json.loads(value_of(line, "--agents") or "")
    assert table["auditor"] == {
        "permissionMode": "default",
        "color": "red",
        "description": "Reads.",
        "prompt": "You read.",
        "tools": ["Read"],
        "model": "opus",
    }
    assert value_of(line, "--permission-mode") == "default"


def test_a_specialist_cannot_lift_all_permissions() -> None:
    daring = Specialist(
        name="x", description="x", prompt="x", extra={"permissionMode": "bypassPermissions"}
    )
    assert value_of(argv(specialist=daring), "--permission-mode") == "acceptEdits"


@pytest.mark.parametrize("text", ["2.1.330 (Claude Code)", "2.2.0", "10.0.0 (Claude Code)"])
def test_a_version_new_enough_is_taken(text: str) -> None:
    assert checked_version(text, "claude") == text.split()[0]


@pytest.mark.parametrize("text", ["2.1.329 (Claude Code)", "1.9.999", "hello", ""])
def test_any_other_version_is_refused(text: str) -> None:
    with pytest.raises(RunnerUnavailableError, match=r"2\.1\.330"):
        checked_version(text, "claude")


def foreign(request: dict[str, Any]) -> Part:
    return Part(request, Oddities(), "request")


def tool_request(command: str, label: str = "x") -> PendingRequest:
    call = {"command": command, "description": label}
    return PendingRequest.of("c1", foreign({"tool_name": "Bash", "input": call}))


def question_request(*questions: str) -> PendingRequest:
    options = [{"label": "Blue", "description": "calm"}, {"label": "Red"}]
    call = {"questions": [{"question": text, "options": options} for text in questions]}
    return PendingRequest.of("c1", foreign({"tool_name": "AskUserQuestion", "input": call}))


def test_a_yes_gives_the_call_back_unchanged() -> None:
    pending = tool_request("rm -r build")
    assert pending.response() is None
    pending.take(Answer(allow=True))
    assert pending.response() == {
        "behavior": "allow",
        "updatedInput": {"command": "rm -r build", "description": "x"},
    }


def test_a_no_carries_its_reason() -> None:
    pending = tool_request("rm -r build")
    pending.take(Answer(allow=False, text="keep it"))
    assert pending.response() == {"behavior": "deny", "message": "keep it", "interrupt": False}


def test_several_questions_are_asked_one_by_one() -> None:
    pending = question_request("Which?", "And which?")
    first = pending.next_question("c1:1")
    assert (first.request_id, first.choices) == ("c1:1", ("Blue", "Red"))
    assert first.summary == "(1 of 2) Which?"
    pending.take(Answer(allow=True, text="Red"))
    assert pending.response() is None
    assert pending.next_question("c1:2").summary == "(2 of 2) And which?"
    pending.take(Answer(allow=True, text="Blue"))
    response = pending.response()
    assert response is not None
    assert response["updatedInput"]["answers"] == {"Which?": "Red", "And which?": "Blue"}


def test_a_no_to_one_of_several_questions_ends_them_all() -> None:
    pending = question_request("Which?", "And which?")
    pending.take(Answer(allow=False))
    response = pending.response()
    assert response is not None
    assert response["behavior"] == "deny"


def grant(**changes: Any) -> ResumeAnswer:
    detail = detail_of("Bash", {"command": "touch x"})
    fields = {"code": "K1", "decision": Decision.APPROVE, "tool": "Bash", "detail": detail}
    return ResumeAnswer(**(fields | changes))


def test_a_grant_is_for_exactly_the_call_it_was_given_for() -> None:
    assert granted_by(grant(), tool_request("touch x", "another label"))
    assert not granted_by(grant(), tool_request("touch y"))
    assert not granted_by(grant(tool="Write"), tool_request("touch x"))
    assert not granted_by(grant(decision=Decision.DENY), tool_request("touch x"))
    assert not granted_by(None, tool_request("touch x"))
    assert not granted_by(grant(tool="AskUserQuestion"), question_request("Which?"))


def test_what_a_resumed_session_is_told_depends_on_the_answer() -> None:
    def told(resume: ResumeAnswer | None) -> str:
        return opening_prompt(job(session_id="s1", resume=resume))

    assert told(None) == "-p is text"
    assert "said yes to exactly this call" in told(grant())
    assert "too risky" in told(grant(decision=Decision.DENY, note="too risky"))
    assert "answer to your question: Red" in told(grant(tool="AskUserQuestion", answer="Red"))


def test_an_answer_without_its_session_is_dropped_and_the_task_begins_afresh() -> None:
    assert job(resume=grant()).resume is None
    assert opening_prompt(job(resume=grant())) == "-p is text"


def test_details_are_equal_only_for_equal_calls_however_long() -> None:
    assert detail_of("Bash", {"b": 1, "command": "x"}) == detail_of(
        "Bash", {"command": "x", "b": 1}
    )
    long_one = detail_of("Write", {"content": "a" * (DETAIL_CHARS + 10)})
    long_two = detail_of("Write", {"content": "a" * (DETAIL_CHARS + 10) + "b"})
    assert len(long_one) < DETAIL_CHARS + 200
    assert long_one != long_two


def test_a_summary_is_one_line_of_what_tells_most() -> None:
    assert summary_of("Bash", {"description": "list", "command": "ls\n  -l"}) == "ls -l"
    assert summary_of("Edit", {"file_path": "/w/a.py", "old_string": "x"}) == "/w/a.py"
    assert summary_of("Odd", {}) == "Odd"
    assert len(summary_of("Bash", {"command": "x" * 5000})) == 300
