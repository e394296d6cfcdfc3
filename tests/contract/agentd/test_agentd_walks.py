"""The daemon with the rehearsal runner against a scripted hub: its own life, without a model."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from common.wire.approvals import ApprovalState, Decision
from common.wire.nodes import OutputKind, ResumeAnswer
from common.wire.tasks import Outcome
from tests.contract.agentd.agent_process import AgentProcess, agentd, until
from tests.contract.agentd.scripted_hub import ScriptedHub


def events(agent: AgentProcess) -> list[str]:
    return [line["event"] for line in agent.log()]


async def test_a_node_registers_itself_and_finishes_a_task(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("say hello")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", slots=3) as agent:
        result = await hub.result_of(fence)
    assert result.outcome == Outcome.OK
    assert result.text.startswith("rehearsal: no model ran")
    assert result.cost_usd == 0.0
    assert result.usage[0].model == "rehearsal"
    registration = hub.registrations[0]
    assert registration.slots == 3
    assert registration.runners == ["rehearsal"]
    assert len(registration.specialists) == 19
    assert hub.starts[0][0] == fence
    assert "say hello" in hub.output_text(fence)
    assert agent.process.returncode == 0


async def test_only_free_slots_are_claimed(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fences = [await hub.offer(f"[rehearse: 1s] {n}") for n in range(4)]
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", slots=2):
        for fence in fences:
            await hub.result_of(fence)
    assert hub.claims[0].free_slots == 2
    assert max(len(beat.running) for beat in hub.heartbeats) <= 2


async def test_a_question_in_flight_is_answered_and_the_run_goes_on(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: question] paint it")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.asks)
        assert hub.asks[0][1].choices == ["Blue", "Red"]
        await hub.decide("K1", ApprovalState.APPROVED, answer="Red")
        result = await hub.result_of(fence)
    assert "You said yes: Red" in result.text


async def test_a_question_nobody_answers_parks_the_attempt_with_its_session(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: ask] do it")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", park_after_s=0.5):
        result = await hub.result_of(fence)
    assert result.outcome == Outcome.PARKED
    assert result.approval_code == "K1"
    assert result.session_id


async def test_an_answer_whose_session_is_elsewhere_is_not_taken_for_one(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    answer = ResumeAnswer(code="K0", decision=Decision.APPROVE, tool="Bash")
    fence = await hub.offer("[rehearse: ask] do it", resume=answer)
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.asks)
        await hub.decide("K1", ApprovalState.DENIED)
        result = await hub.result_of(fence)
    assert "You said no" in result.text


async def test_a_kill_order_ends_the_attempt(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: 60s] slow")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.starts)
        hub.kills.add(fence)
        result = await hub.result_of(fence)
    assert result.outcome == Outcome.KILLED


async def test_a_kill_order_for_an_attempt_that_is_not_here_is_answered(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    hub.kills.add(77)
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        result = await hub.result_of(77)
    assert result.outcome == Outcome.KILLED


async def test_a_refused_start_runs_nothing(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    stale = await hub.offer("never")
    hub.stale.add(stale)
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        after = await hub.offer("afterwards")
        await hub.result_of(after)
        refused = [line for line in agent.log() if line["event"] == "start refused"]
    assert refused[0]["fence"] == stale
    assert stale not in hub.results
    assert not [fence for fence, _ in hub.outputs if fence == stale]


async def test_a_result_waits_on_disk_while_the_hub_is_away(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path
) -> None:
    fence = await hub.offer("[rehearse: 2s] patience")
    spool = mesh_home / "agentd-Archon" / "spool"
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.outputs)
        await hub.stop()
        hub.away = True
        await until(lambda: list(spool.glob("*.result.json")))
        assert all(path.stat().st_mode & 0o077 == 0 for path in spool.iterdir())
        hub.away = False
        await hub.start()
        result = await hub.result_of(fence)
    assert result.outcome == Outcome.OK
    assert not list(spool.iterdir())


async def test_a_node_whose_disk_is_nearly_full_takes_no_work_and_says_why(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    await hub.offer("never begun")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", min_free_mb=10**9) as agent:
        await hub.until(lambda: len(hub.heartbeats) > 2)
    assert {beat.accepting for beat in hub.heartbeats} == {False}
    reasons = {beat.not_accepting_reason for beat in hub.heartbeats} - {"draining"}
    assert len(reasons) == 1, "each change of the reason is an event of the node"
    assert (reasons.pop() or "").startswith("less than 1000000000 MB free on ")
    assert not hub.claims
    told = [line for line in agent.log() if line["event"] == "takes no work"]
    assert [line["reason"][:25] for line in told] == ["less than 1000000000 MB f"]


@pytest.mark.shutdown
async def test_a_stop_with_work_in_flight_reports_it_interrupted(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: 60s] slow")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        await hub.until(lambda: hub.outputs)
        agent.signal(signal.SIGTERM)
        assert await agent.wait(within_s=5) == 0
    assert hub.results[fence].outcome == Outcome.INTERRUPTED
    assert hub.results[fence].session_id


async def test_a_drain_lets_running_work_finish_and_takes_no_more(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: 2s] almost there")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", drain_s=30.0) as agent:
        await hub.until(lambda: hub.outputs)
        agent.signal(signal.SIGTERM)
        await hub.until(lambda: hub.heartbeats and not hub.heartbeats[-1].accepting)
        late = await hub.offer("too late")
        assert await agent.wait() == 0
    assert hub.results[fence].outcome == Outcome.OK
    assert late not in [started for started, _ in hub.starts]


@pytest.mark.shutdown
@pytest.mark.parametrize("how", ["away", "frozen"])
async def test_a_stop_does_not_wait_for_a_hub_that_does_not_answer(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path, how: str
) -> None:
    running = await hub.offer("[rehearse: 60s] slow")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        await hub.until(lambda: hub.outputs)
        setattr(hub, how, True)
        agent.signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        assert await agent.wait() == 0
        assert time.monotonic() - stopped_at < 2.0
    assert (mesh_home / "agentd-Archon" / "spool" / f"{running}.result.json").exists()


@pytest.mark.shutdown
async def test_a_stop_during_a_start_that_is_not_answered_spawns_nothing(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path
) -> None:
    hub.slow_start = True
    fence = await hub.offer("never begun")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        await hub.until(lambda: hub.starts)
        agent.signal(signal.SIGTERM)
        assert await agent.wait(within_s=5) == 0
    assert hub.results[fence].outcome == Outcome.INTERRUPTED
    assert hub.outputs == []


@pytest.mark.shutdown
async def test_a_second_signal_ends_a_drain(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: 60s] slow")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", drain_s=60.0) as agent:
        await hub.until(lambda: hub.outputs)
        agent.signal(signal.SIGTERM)
        await hub.until(lambda: not hub.heartbeats[-1].accepting)
        agent.signal(signal.SIGTERM)
        assert await agent.wait(within_s=5) == 0
    assert hub.results[fence].outcome == Outcome.INTERRUPTED


async def test_a_node_without_contact_ends_its_own_work(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path
) -> None:
    hub.stop_after_s = 1.0
    spool = mesh_home / "agentd-Archon" / "spool"
    fence = await hub.offer("[rehearse: 60s] slow")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.outputs)
        await hub.stop()
        hub.away = True
        await until(lambda: list(spool.glob("*.result.json")))
        hub.away = False
        await hub.start()
        result = await hub.result_of(fence)
    assert result.outcome == Outcome.INTERRUPTED
    assert "no contact" in (result.error or "")


@pytest.mark.parametrize("how", ["frozen", "foreign"])
async def test_a_hub_that_answers_nothing_useful_counts_as_no_contact(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, how: str
) -> None:
    hub.stop_after_s = 1.0
    await hub.offer("[rehearse: 60s] slow")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        await hub.until(lambda: hub.outputs)
        setattr(hub, how, True)
        # Well before a request to the hub times out.
        await until(lambda: "attempt ended" in events(agent), within_s=8.0)
        stopped = next(line for line in agent.log() if line["event"] == "attempt stopping")
    assert "no contact with the hub" in stopped["reason"]


async def test_a_node_whose_work_folder_is_gone_beats_on_and_says_why_it_takes_no_work(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path
) -> None:
    work, aside = mesh_home / "work", mesh_home / "aside"
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        await hub.until(lambda: hub.heartbeats)
        work.rename(aside)
        await hub.until(lambda: not hub.heartbeats[-1].accepting)
        refused = hub.heartbeats[-1].not_accepting_reason or ""
        aside.rename(work)
        await hub.until(lambda: hub.heartbeats[-1].accepting)
    assert refused.startswith("the work folder cannot be used (No such file or directory): put ")
    assert str(work) in refused
    assert "takes work again" in events(agent)


async def test_a_second_agent_of_the_same_name_is_refused_with_75(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.heartbeats)
        async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as second:
            assert await second.wait() == 75


async def test_tool_output_is_told_apart_from_text(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    fence = await hub.offer("[rehearse: ask] do it")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        await hub.until(lambda: hub.asks)
        await hub.decide("K1", ApprovalState.DENIED, note="not today")
        result = await hub.result_of(fence)
    kinds = [item.kind for of, output in hub.outputs if of == fence for item in output.items]
    assert OutputKind.TOOL_START in kinds
    assert OutputKind.TOOL_END in kinds
    assert "You said no: not today" in result.text


async def test_files_of_a_text_are_in_the_folder_and_named_in_the_prompt(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path
) -> None:
    hub.files = {
        "a": ("Über shot/../../x.png", b"\x89PNG one"),
        "b": (None, b"\xff\xd8\xff two"),
    }
    program = tmp_path / "worker.sh"
    program.write_text("#!/bin/sh\ncat; ls -A attachments\n")
    program.chmod(0o755)
    fence = await hub.offer("look", files=["a", "b", "gone"])
    async with agentd(hub, clean_env, tmp_path, runner="command", command=[str(program)]):
        result = await hub.result_of(fence)
    assert "came with this text:\nattachments/x.png\nattachments/file.jpg\n" in result.text
    assert "(1 more could not be fetched.)" in result.text
    folder = mesh_home / "work" / str(fence) / str(fence) / "attachments"
    assert (folder / "x.png").read_bytes() == b"\x89PNG one"
    assert sorted(path.name for path in folder.iterdir()) == [
        ".gitignore",
        "file.jpg",
        "x.png",
    ]


async def test_text_cut_inside_an_emoji_loses_neither_the_result_nor_the_output(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "worker.sh"
    program.write_text(
        """#!/bin/sh
cat <<'SAID'
{"mesh": "tool", "id": "1", "tool": "make", "text": "begun \\ud83d"}
{"mesh": "text", "text": "all done \\ud83d"}
SAID
"""
    )
    program.chmod(0o755)
    fence = await hub.offer("look")
    async with agentd(hub, clean_env, tmp_path, runner="command", command=[str(program)]):
        result = await hub.result_of(fence)
    assert (result.outcome, result.text) == (Outcome.OK, "all done \ufffd")
    assert hub.output_text(fence) == "begun \ufffdall done \ufffd"
