"""The bench in the hands of the real Claude Code: each brief loads, with the tools it names.

Found with 2.1.330: an agent that has Bash gets neither Grep nor Glob; `Bash(git log *)` in `tools`
gives the whole of Bash; and `permissionMode` counts for a subagent only, so that for the main agent
the flag has to say it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentd.runners.claude_launch import agents_json
from agentd.specialists import BENCH, load_bench
from tests.fakes.model_api import ModelApi, serve_model_api

pytestmark = pytest.mark.claude

SPECIALISTS = load_bench()
BY_READING_ONLY = ("accessibility-auditor", "researcher", "security-auditor")
SHELL_WITHOUT_EDITOR = ("code-reviewer", "incident-responder")
RUN_LIMIT_S = 50.0


@dataclass(frozen=True)
class Run:
    """One `claude -p` from its first event to its end."""

    code: int | None
    events: list[dict[str, Any]]
    errors: str

    @property
    def init(self) -> dict[str, Any]:
        found = [event for event in self.events if event.get("subtype") == "init"]
        assert found, self.errors
        return found[0]

    @property
    def tool_results(self) -> list[dict[str, Any]]:
        return [
            block
            for event in self.events
            if event["type"] == "user"
            for block in event["message"]["content"]
            if block.get("type") == "tool_result"
        ]


class Bench:
    """Runs the CLI in an empty folder, in an environment that holds nothing but its own."""

    def __init__(self, program: Path, api: ModelApi, env: dict[str, str], folder: Path) -> None:
        self.api = api
        self.home = Path(env["HOME"])
        self.folder = folder
        self._program = program
        self._env = env | {
            "ANTHROPIC_BASE_URL": api.url,
            "ANTHROPIC_API_KEY": "dummy",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
        }

    async def ask(self, prompt: str, *flags: str, sources: str = "") -> Run:
        process = await asyncio.create_subprocess_exec(
            str(self._program),
            "-p",
            "--output-format=stream-json",
            "--verbose",
            f"--setting-sources={sources}",
            "--strict-mcp-config",
            *flags,
            cwd=self.folder,
            env=self._env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(RUN_LIMIT_S):
                out, errors = await process.communicate(prompt.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
        return Run(process.returncode, events, errors.decode())

    async def ask_as(self, name: str, prompt: str, *flags: str) -> Run:
        """Run as this specialist, given to the CLI in the very words agentd uses."""
        agents = agents_json(SPECIALISTS[name])
        return await self.ask(prompt, f"--agents={agents}", f"--agent={name}", *flags)


@pytest.fixture
async def bench(
    claude_cli: Path, clean_env: dict[str, str], tmp_path: Path
) -> AsyncIterator[Bench]:
    folder = tmp_path / "attempt"
    folder.mkdir()
    async with serve_model_api() as api:
        yield Bench(claude_cli, api, clean_env, folder)


def script(*calls: tuple[str, dict[str, Any]]) -> str:
    """A prompt on which the model API makes these tool calls one after the other."""
    steps = [{"tool": tool, "input": values} for tool, values in calls]
    return f"[[scenario:steps {json.dumps({'steps': [*steps, {'text': 'done'}]})}]]"


def shell(command: str) -> tuple[str, dict[str, Any]]:
    return "Bash", {"command": command, "description": "try"}


@pytest.mark.parametrize("name", sorted(SPECIALISTS))
async def test_a_specialist_loads_with_exactly_its_own_tools_model_and_brief(
    bench: Bench, name: str
) -> None:
    specialist = SPECIALISTS[name]

    run = await bench.ask_as(name, "hello")

    assert run.code == 0, run.errors
    assert sorted(run.init["tools"]) == sorted(specialist.tools)
    assert run.init["model"].startswith(f"claude-{specialist.model}-")
    request = bench.api.books.requests[0]
    assert request["model"] == run.init["model"]
    assert any(specialist.prompt in block["text"] for block in request["system"])


async def test_the_files_are_agent_files_as_they_stand(bench: Bench) -> None:
    shutil.copytree(BENCH, bench.home / ".claude" / "agents")

    run = await bench.ask("hello", "--agent=researcher", sources="user")

    assert run.code == 0, run.errors
    assert set(run.init["agents"]) >= set(SPECIALISTS)
    assert sorted(run.init["tools"]) == sorted(SPECIALISTS["researcher"].tools)


@pytest.mark.parametrize("name", BY_READING_ONLY)
async def test_who_only_reads_cannot_change_a_file_even_where_edits_are_accepted(
    bench: Bench, name: str
) -> None:
    kept = bench.folder / "kept.txt"
    kept.write_text("as it was")
    path = str(kept)
    calls = script(
        ("Read", {"file_path": path}),
        ("Write", {"file_path": path, "content": "overwritten"}),
        ("Edit", {"file_path": path, "old_string": "as it was", "new_string": "edited"}),
        shell("touch new.txt"),
    )

    run = await bench.ask_as(name, calls, "--permission-mode=acceptEdits")

    read, *attempts = run.tool_results
    assert not read.get("is_error")
    assert ["No such tool" in result["content"] for result in attempts] == [True, True, True]
    assert {file.name: file.read_text() for file in bench.folder.iterdir()} == {
        "kept.txt": "as it was"
    }


@pytest.mark.parametrize("name", SHELL_WITHOUT_EDITOR)
async def test_a_shell_without_an_editor_looks_freely_and_changes_nothing_unasked(
    bench: Bench, name: str
) -> None:
    kept = bench.folder / "kept.txt"
    kept.write_text("as it was\n")
    calls = script(
        shell("grep -n was kept.txt"),
        shell("touch new.txt"),
        shell("sed -i s/was/is/ kept.txt"),
        shell("rm kept.txt"),
        shell("echo more >> kept.txt"),
    )
    mode = SPECIALISTS[name].extra["permissionMode"]

    run = await bench.ask_as(name, calls, f"--permission-mode={mode}")

    look, *changes = run.tool_results
    assert "1:as it was" in look["content"]
    assert [result.get("is_error") for result in changes] == [True] * 4
    assert len(run.events[-1]["permission_denials"]) == 4
    assert {file.name: file.read_text() for file in bench.folder.iterdir()} == {
        "kept.txt": "as it was\n"
    }
