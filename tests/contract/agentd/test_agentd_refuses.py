"""What keeps agentd from working: one sentence with the remedy and the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.agentd.agent_process import AgentProcess, agentd, until
from tests.contract.agentd.scripted_hub import ScriptedHub


async def last_words(agent: AgentProcess, code: int) -> str:
    assert await agent.wait() == code
    assert "Traceback" not in agent.log_file.read_text()
    return str(agent.log()[-1]["error"])


async def test_no_claude_on_the_path_says_how_to_get_it(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    clean_env["PATH"] = "/usr/bin:/bin"
    async with agentd(hub, clean_env, tmp_path, runner="claude", claude="no-such-claude") as agent:
        words = await last_words(agent, 78)
    assert "not found on the PATH" in words
    assert "agent.claude" in words


async def test_a_claude_path_that_is_not_there_is_named(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    async with agentd(hub, clean_env, tmp_path, runner="claude", claude="/nowhere/claude") as agent:
        assert "not found at /nowhere/claude" in await last_words(agent, 78)


@pytest.mark.parametrize(
    ("answer", "says"),
    [("1.0.3 (Claude Code)", "claude update"), ("hello", "does not answer as Claude Code does")],
)
async def test_a_wrong_or_old_program_is_refused(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, answer: str, says: str
) -> None:
    program = tmp_path / "claude"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    async with agentd(hub, clean_env, tmp_path, runner="claude", claude=str(program)) as agent:
        assert says in await last_words(agent, 78)


async def test_an_unknown_runner_names_those_there_are(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    async with agentd(hub, clean_env, tmp_path, runner="telepathy") as agent:
        words = await last_words(agent, 78)
    assert "telepathy" in words
    assert "rehearsal" in words


async def test_a_slot_count_of_nonsense_is_refused(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", slots=0) as agent:
        assert "agent.slots" in (await last_words(agent, 78)).lower().replace("__", ".")


async def test_a_missing_token_says_where_it_was_looked_for(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal", token="") as agent:
        assert "mesh token new --role node --name Archon" in await last_words(agent, 78)


async def test_a_broken_file_on_the_owners_bench_fails_the_tasks_for_it_and_names_itself(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, mesh_home: Path
) -> None:
    bench = mesh_home / "agents"
    bench.mkdir(mode=0o700)
    (bench / "mine.md").write_text("no frontmatter here")
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal"):
        fence = await hub.offer("p", specialist="mine")
        result = await hub.result_of(fence)
    assert "mine" in hub.registrations[0].specialists
    assert result.outcome == "permanent"
    assert "mine.md has no frontmatter" in (result.error or "")


async def test_a_hub_that_is_away_is_waited_for(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path
) -> None:
    await hub.stop()
    async with agentd(hub, clean_env, tmp_path, runner="rehearsal") as agent:
        await until(lambda: any(line["event"] == "hub contact lost" for line in agent.log()))
        await hub.start()
        await hub.until(lambda: hub.heartbeats)
    assert agent.process.returncode == 0
