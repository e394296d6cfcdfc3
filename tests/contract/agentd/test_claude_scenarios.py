"""The real Claude Code CLI under agentd, each way an attempt can go, on a loopback model API."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentd.runners.tool_text import detail_of
from common.wire.approvals import ApprovalState, Decision
from common.wire.nodes import Earlier, OutputKind, PostResult, ResumeAnswer
from common.wire.tasks import Outcome
from common.wire.usage import Usage
from tests.contract.agentd.agent_process import agentd, until
from tests.contract.agentd.conftest import MODEL
from tests.contract.agentd.scripted_hub import ScriptedHub
from tests.fakes.model_api import ModelApi

pytestmark = pytest.mark.claude

Settings = dict[str, Any]


def scenario(name: str, **args: object) -> str:
    return f"[[scenario:{name} {json.dumps(args)}]]"


def assert_books_agree(result: PostResult, api: ModelApi) -> None:
    """What the node reports is what the model API served, to the token."""
    served = api.books.totals()
    reported = {usage.model: usage for usage in result.usage}
    assert reported.keys() == served.keys()
    for model, used in reported.items():
        assert used.input_tokens == served[model].input_tokens
        assert used.output_tokens == served[model].output_tokens
        assert used.cache_read_tokens == served[model].cache_read_input_tokens
        assert used.cache_write_tokens == served[model].cache_creation_input_tokens


async def run_one(
    hub: ScriptedHub,
    env: dict[str, str],
    tmp_path: Path,
    settings: Settings,
    prompt: str,
    **spec: Any,
) -> PostResult:
    fence = await hub.offer(prompt, **spec)
    async with agentd(hub, env, tmp_path, **settings):
        return await hub.result_of(fence)


async def test_success_is_accounted_to_the_token(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    prompt = "--version is not an option here " + scenario("success", text="All good.")
    result = await run_one(hub, clean_env, tmp_path, claude_settings, prompt)
    assert (result.outcome, result.text, result.partial) == (Outcome.OK, "All good.", False)
    assert_books_agree(result, model_api)
    assert result.cost_usd == pytest.approx(0.001502)
    assert hub.output_text(1) == "All good."
    assert (hub.registrations[0].facts.claude or "") >= "2.1.330"


async def test_what_a_run_used_travels_with_heartbeats_and_never_exceeds_what_was_served(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    """Running tasks showed $0.00 for minutes while they spent."""
    wanted = tmp_path / "outside.txt"
    fence = await hub.offer(scenario("needs_permission", command=f"touch {wanted}"))

    def reports() -> list[Usage]:
        beats = [item for beat in hub.heartbeats for item in beat.usage]
        return [usage for item in beats if item.fence == fence for usage in item.usage]

    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        await hub.until(lambda: hub.asks)
        served = model_api.books.totals()[MODEL]
        await hub.until(
            lambda: any(usage.output_tokens == served.output_tokens for usage in reports())
        )
        for usage in reports():
            assert usage.input_tokens <= served.input_tokens
            assert usage.output_tokens <= served.output_tokens
        await hub.decide("K1", ApprovalState.APPROVED)
        result = await hub.result_of(fence)
    assert_books_agree(result, model_api)
    assert not result.partial


async def test_a_tool_is_used_and_seen(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    result = await run_one(
        hub, clean_env, tmp_path, claude_settings, scenario("tool_use", command="echo marker-77")
    )
    assert result.outcome == Outcome.OK
    assert "marker-77" in result.text
    assert_books_agree(result, model_api)
    items = [item for _, output in hub.outputs for item in output.items]
    started = next(item for item in items if item.kind is OutputKind.TOOL_START)
    ended = next(item for item in items if item.kind is OutputKind.TOOL_END)
    assert (started.tool, started.text) == ("Bash", "echo marker-77")
    assert (ended.tool_id, ended.text) == (started.tool_id, "marker-77")


async def test_a_yes_in_flight_lets_exactly_that_call_run(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    wanted = tmp_path / "outside.txt"
    fence = await hub.offer(scenario("needs_permission", command=f"touch {wanted}"))
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        await hub.until(lambda: hub.asks)
        assert not wanted.exists()
        await hub.decide("K1", ApprovalState.APPROVED)
        result = await hub.result_of(fence)
    asked = hub.asks[0][1]
    assert (asked.kind, asked.tool) == ("tool", "Bash")
    assert asked.detail == f"command: touch {wanted}"
    assert asked.summary == f"Bash: touch {wanted}"
    assert result.outcome == Outcome.OK
    assert wanted.exists()


async def test_a_call_cut_inside_an_emoji_is_asked_about_and_runs_as_it_was_shown(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    wanted = tmp_path / "outside.txt"
    command = f"printf 'cut \ud83d' > {wanted}"
    fence = await hub.offer(scenario("needs_permission", command=command))
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        await hub.until(lambda: hub.asks)
        await hub.decide("K1", ApprovalState.APPROVED)
        result = await hub.result_of(fence)
    shown = command.replace("\ud83d", "\ufffd")
    assert hub.asks[0][1].detail == f"command: {shown}"
    assert shown in hub.output_text(fence)
    assert result.outcome == Outcome.OK
    assert wanted.read_text() == "cut \ufffd"


async def test_a_no_in_flight_is_told_to_the_model_with_its_reason(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    wanted = tmp_path / "outside.txt"
    fence = await hub.offer(scenario("needs_permission", command=f"touch {wanted}"))
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        await hub.until(lambda: hub.asks)
        await hub.decide("K1", ApprovalState.DENIED, note="keep out of there")
        result = await hub.result_of(fence)
    assert result.outcome == Outcome.OK
    assert "keep out of there" in result.text
    assert result.error == "1 tool call denied: Bash"
    assert not wanted.exists()


async def test_claude_asks_its_owner_and_hears_the_choice(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    fence = await hub.offer(scenario("ask_user"))
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        await hub.until(lambda: hub.asks)
        asked = hub.asks[0][1]
        assert (asked.kind, asked.summary) == ("question", "Which colour?")
        assert asked.choices == ["Blue", "Red"]
        await hub.decide("K1", ApprovalState.APPROVED, answer="Red")
        result = await hub.result_of(fence)
    assert '"Which colour?"="Red"' in result.text


async def test_a_parked_attempt_resumes_after_the_yes_without_asking_again(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    wanted, other = tmp_path / "wanted.txt", tmp_path / "other.txt"
    steps = [
        {"tool": "Bash", "input": {"command": f"touch {wanted}", "description": "first try"}},
        {"tool": "Bash", "input": {"command": f"touch {wanted}", "description": "as allowed"}},
        {"tool": "Bash", "input": {"command": f"touch {other}", "description": "more"}},
        {"text": "Both done."},
    ]
    async with agentd(hub, clean_env, tmp_path, park_after_s=0.3, **claude_settings):
        first = await hub.offer(scenario("steps", steps=steps, across_prompts=True))
        parked = await hub.result_of(first)
        assert (parked.outcome, parked.approval_code) == (Outcome.PARKED, "K1")
        assert parked.usage[0].output_tokens == 23
        asked = hub.asks[0][1]
        answer = ResumeAnswer(
            code="K1", decision=Decision.APPROVE, tool=asked.tool, detail=asked.detail
        )
        second = await hub.offer("not said", session_id=parked.session_id, resume=answer)
        await hub.until(lambda: len(hub.asks) > 1)
        assert wanted.exists()
        assert str(other) in hub.asks[1][1].summary
        await hub.decide("K2", ApprovalState.APPROVED)
        result = await hub.result_of(second)
    assert (result.outcome, result.text) == (Outcome.OK, "Both done.")
    assert result.session_id == parked.session_id


async def test_a_yes_does_not_count_without_the_session_it_was_given_to(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    wanted = tmp_path / "outside.txt"
    detail = detail_of("Bash", {"command": f"touch {wanted}"})
    answer = ResumeAnswer(code="K0", decision=Decision.APPROVE, tool="Bash", detail=detail)
    prompt = scenario("needs_permission", command=f"touch {wanted}")
    fence = await hub.offer(prompt, resume=answer)
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        await hub.until(lambda: hub.asks)
        assert not wanted.exists()
        await hub.decide("K1", ApprovalState.DENIED)
        result = await hub.result_of(fence)
    assert hub.asks[0][1].detail == detail
    assert result.error == "1 tool call denied: Bash"
    assert not wanted.exists()


async def test_a_continued_session_remembers_what_was_said(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        first = await hub.offer(scenario("tool_use", command="pwd > where.txt; pwd"))
        before = await hub.result_of(first)
        second = await hub.offer("and once more", session_id=before.session_id)
        after = await hub.result_of(second)
    assert after.session_id == before.session_id
    assert after.text == "Done. Prompts seen in this session: 2."
    assert after.usage[0].output_tokens == 23
    work = Path(clean_env["MESH_HOME"]) / "work"
    assert (work / "1" / "1" / "where.txt").exists()
    assert not (work / "2").exists()


async def test_a_budget_stops_the_attempt(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    result = await run_one(
        hub,
        clean_env,
        tmp_path,
        claude_settings,
        scenario("many_turns", turns=30),
        max_cost_usd=0.004,
    )
    assert result.outcome == Outcome.TASK_ERROR
    assert "budget" in (result.error or "").lower()
    assert result.final
    assert_books_agree(result, model_api)
    assert result.cost_usd is not None
    assert 0.004 <= result.cost_usd < 0.01


async def test_turns_are_bounded(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    claude_settings["max_turns"] = 3
    result = await run_one(
        hub, clean_env, tmp_path, claude_settings, scenario("many_turns", turns=30)
    )
    assert result.outcome == Outcome.TASK_ERROR
    assert "maximum number of turns (3)" in (result.error or "")


@pytest.mark.parametrize(
    ("name", "outcome", "says"),
    [
        ("unauthorized", Outcome.NEEDS_LOGIN, "Invalid API key"),
        ("credit_low", Outcome.NEEDS_LOGIN, "Credit balance is too low"),
        ("model_missing", Outcome.PERMANENT, "model"),
        ("too_long", Outcome.PERMANENT, "too long"),
        ("refusal", Outcome.TASK_ERROR, "flagged this message"),
        ("throttled", Outcome.PROVIDER_BUSY, "429"),
        ("server_error", Outcome.PROVIDER_BUSY, "500"),
        ("overloaded", Outcome.PROVIDER_BUSY, "529"),
    ],
)
async def test_each_failure_of_the_provider_has_its_class(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    name: str,
    outcome: Outcome,
    says: str,
) -> None:
    result = await run_one(hub, clean_env, tmp_path, claude_settings, scenario(name))
    assert result.outcome == outcome
    assert says in (result.error or "")
    assert result.text == ""


async def test_a_usage_limit_carries_its_reset_time(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    settings = claude_settings | {"env": dict(claude_settings["env"])}
    del settings["env"]["ANTHROPIC_API_KEY"]
    settings["env"]["CLAUDE_CODE_OAUTH_TOKEN"] = "sk-ant-oat01-loopback-only"
    before = datetime.now(UTC)
    result = await run_one(hub, clean_env, tmp_path, settings, scenario("rate_limited", in_s=3600))
    assert result.outcome == Outcome.PROVIDER_LIMIT
    assert result.resets_at is not None
    assert timedelta(minutes=59) < result.resets_at - before < timedelta(minutes=61)
    assert result.session_id


async def test_a_cut_stream_is_tried_again_and_succeeds(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    result = await run_one(hub, clean_env, tmp_path, claude_settings, scenario("stream_cut"))
    assert result.outcome == Outcome.OK
    assert result.text == "This text never reaches its end because the line drops."


async def test_a_hanging_model_is_ended_by_the_watchdog_with_what_it_used(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    result = await run_one(
        hub,
        clean_env,
        tmp_path,
        claude_settings | {"silence_s": 3.0},
        scenario("hang", pieces=2),
    )
    assert result.outcome == Outcome.TASK_ERROR
    assert "without any output" in (result.error or "")
    assert result.usage[0].model == MODEL
    assert result.usage[0].input_tokens == model_api.books.served[0].usage.input_tokens


async def test_a_timeout_ends_the_attempt(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    result = await run_one(
        hub, clean_env, tmp_path, claude_settings, scenario("slow", seconds=60), timeout_s=2.5
    )
    assert result.outcome == Outcome.TASK_ERROR
    assert result.error == "ended after 2 s"
    assert result.final


async def test_five_at_once_each_have_their_own_answer(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    fences = [await hub.offer(scenario("success", text=f"answer {n}")) for n in range(5)]
    async with agentd(hub, clean_env, tmp_path, slots=5, **claude_settings):
        results = [await hub.result_of(fence, within_s=40) for fence in fences]
    assert [result.text for result in results] == [f"answer {n}" for n in range(5)]
    total = sum(usage.output_tokens for result in results for usage in result.usage)
    assert total == model_api.books.totals()[MODEL].output_tokens


async def test_a_specialist_runs_with_its_own_prompt_and_tools(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    result = await run_one(
        hub,
        clean_env,
        tmp_path,
        claude_settings,
        scenario("success"),
        specialist="security-auditor",
    )
    assert result.outcome == Outcome.OK
    request = model_api.books.requests[-1]
    assert "You are a security auditor." in json.dumps(request["system"])
    names = {tool["name"] for tool in request["tools"]}
    assert "Read" in names
    assert not names & {"Bash", "Edit", "Write"}


async def test_an_unknown_session_falls_back_to_the_task_itself(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    earlier = Earlier(node="Archon", outcome="lost")
    result = await run_one(
        hub,
        clean_env,
        tmp_path,
        claude_settings,
        scenario("success", text="Begun afresh."),
        session_id="00000000-0000-4000-8000-000000000000",
        earlier=earlier,
    )
    assert (result.outcome, result.text) == (Outcome.OK, "Begun afresh.")
    assert result.session_id == "00000000-0000-4000-8000-000000000000"


async def test_an_interrupted_session_is_told_to_continue_and_repeats_nothing(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    free_hands: Settings,
    model_api: ModelApi,
) -> None:
    marks = tmp_path / "marks"
    steps = [
        {"tool": "Bash", "input": {"command": f"echo {n} >> {marks}", "description": "mark"}}
        for n in range(12)
    ]
    prompt = scenario("steps", steps=[*steps, {"text": "All done."}], across_prompts=True)
    first = await hub.offer(prompt)
    async with agentd(hub, clean_env, tmp_path, **free_hands) as agent:
        await until(lambda: marks.exists() and len(marks.read_text().split()) > 4)
        agent.signal(signal.SIGKILL)
        await agent.wait()
    session_id = hub.starts[0][1].session_id
    async with agentd(hub, clean_env, tmp_path, **free_hands):
        lost = await hub.result_of(first)
        earlier = Earlier(node="Archon", outcome=lost.outcome)
        await hub.offer(prompt, session_id=lost.session_id, earlier=earlier, id=first)
        result = await hub.result_of(first + 1)
    assert (lost.outcome, lost.session_id) == (Outcome.LOST, session_id)
    assert (result.outcome, result.text, result.session_id) == (
        Outcome.OK,
        "All done.",
        session_id,
    )
    done = marks.read_text().split()
    assert len(done) == len(set(done)), "a step that was done is repeated"
    said = json.dumps(model_api.books.requests[-1]["messages"])
    assert said.count("scenario:steps") == 1, "the task is told twice"
    assert "You were interrupted" in said
    work = Path(clean_env["MESH_HOME"]) / "work" / "1"
    assert [path.name for path in work.iterdir()] == ["1"], "it went on in another folder"
