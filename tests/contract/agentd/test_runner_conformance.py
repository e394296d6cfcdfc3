"""What every runner must do, shown of each on the real thing: Claude Code, Codex, any command."""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentd.environment import attempt_environment
from agentd.errors import RunnerUnavailableError
from agentd.runners.claude import ClaudeRunner
from agentd.runners.claude_launch import ClaudeSettings
from agentd.runners.codex import CodexRunner, CodexSettings
from agentd.runners.command import CommandRunner
from agentd.runners.protocol import (
    Ended,
    Event,
    Job,
    Run,
    Runner,
    SessionStarted,
    TextSaid,
    ToolEnded,
    UsageSeen,
)
from agentd.runners.rehearsal import RehearsalRunner
from agentd.sweep import Mark, find_marked
from common.wire.tasks import Outcome
from tests.conftest import ROOT, missing_tool
from tests.contract.agentd.agent_process import until
from tests.fakes.model_api import ModelApi

FENCE = 7
AGENT = f"conformance-{os.getpid()}"
CANARY = "MESH_CANARY_OF_THE_SURROUNDINGS"

WORKER = """
import json, os, sys, time
prompt = sys.stdin.read()
def say(**fields): print(json.dumps(fields), flush=True)
say(mesh="session", id=os.environ.get("MESH_SESSION", "worker-session"))
if "[fail]" in prompt:
    say(mesh="error", outcome="task_error", message="it was told to fail")
    sys.exit(1)
if "[slow]" in prompt:
    print("starting", flush=True)
    time.sleep(60)
if "[environment]" in prompt:
    say(mesh="tool", id="1", tool="env", text="env")
    say(mesh="tool", id="1", tool="env", text=json.dumps(dict(os.environ)), done=True)
say(mesh="usage", model="worker-1", input_tokens=5, output_tokens=9, cost_usd=0.25)
print(f"heard: {prompt.strip()}")
"""


@dataclass
class Subject:
    """One runner and how to make it do what a test is about."""

    runner: Runner
    missing: Callable[[], Runner]
    environment: dict[str, str]
    folder: Path
    succeed: str
    fail: str
    slow: str
    environment_prompt: str | None = None
    failure: Outcome = Outcome.TASK_ERROR
    resumes: bool = True
    has_process: bool = True
    verbatim: bool = True

    def job(self, prompt: str, *, session_id: str | None = None) -> Job:
        return Job(
            fence=FENCE,
            prompt=prompt,
            folder=self.folder,
            environment=self.environment,
            session_id=session_id,
        )

    async def run(self, prompt: str, *, session_id: str | None = None) -> Seen:
        seen = Seen(await self.runner.start(self.job(prompt, session_id=session_id)))
        async for _ in seen.follow():
            pass
        return seen


@dataclass
class Seen:
    """A run and the events it gave."""

    run: Run
    events: list[Event] = field(default_factory=list)

    async def follow(self) -> AsyncIterator[Event]:
        async with aclosing(self.run.events()) as events:
            async for event in events:
                self.events.append(event)
                yield event

    @property
    def ended(self) -> Ended:
        last = self.events[-1]
        assert isinstance(last, Ended)
        return last

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def surroundings(
    clean_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, model_api: ModelApi
) -> dict[str, str]:
    """An attempt's environment, made while ours holds what must not get through."""
    monkeypatch.setenv(CANARY, "leaked")
    configured = {
        "ANTHROPIC_BASE_URL": model_api.url,
        "ANTHROPIC_API_KEY": "loopback-only",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "LOOPBACK_KEY": "loopback-only",
        "HOME": clean_env["HOME"],
    }
    return attempt_environment(dict(os.environ), configured, fence=FENCE, agent_mark=AGENT)


@pytest.fixture(
    params=["rehearsal", "command", "codex", pytest.param("claude", marks=pytest.mark.claude)]
)
def subject(
    request: pytest.FixtureRequest,
    surroundings: dict[str, str],
    tmp_path: Path,
    model_api: ModelApi,
) -> Subject:
    folder = tmp_path / "attempt"
    folder.mkdir()
    match request.param:
        case "claude":
            return claude_subject(request.getfixturevalue("claude_cli"), surroundings, folder)
        case "codex":
            return codex_subject(surroundings, folder, tmp_path, model_api)
        case "command":
            return command_subject(surroundings, folder, tmp_path)
    return rehearsal_subject(surroundings, folder)


def rehearsal_subject(environment: dict[str, str], folder: Path) -> Subject:
    return Subject(
        runner=RehearsalRunner(new_id=lambda: str(uuid.uuid4()), pace_s=0.1),
        missing=lambda: RehearsalRunner(new_id=lambda: "x"),
        environment=environment,
        folder=folder,
        succeed="say it",
        fail="[rehearse: fail]",
        slow="[rehearse: 60s]",
        has_process=False,
        verbatim=False,
    )


def command_subject(environment: dict[str, str], folder: Path, tmp_path: Path) -> Subject:
    program = tmp_path / "worker.py"
    program.write_text(WORKER)
    return Subject(
        runner=CommandRunner([sys.executable, str(program)], environment=environment),
        missing=lambda: CommandRunner(["/nowhere/worker"], environment=environment),
        environment=environment,
        folder=folder,
        succeed="say it",
        fail="[fail]",
        slow="[slow]",
        environment_prompt="[environment]",
    )


def claude_subject(program: Path, environment: dict[str, str], folder: Path) -> Subject:
    def runner(path: str) -> ClaudeRunner:
        settings = ClaudeSettings(program=path, model="claude-sonnet-5-5", allowed_tools=("Bash",))
        return ClaudeRunner(
            settings,
            environment=environment,
            new_id=lambda: str(uuid.uuid4()),
            memory=folder.parent / "memory",
        )

    return Subject(
        runner=runner(str(program)),
        missing=lambda: runner("/nowhere/claude"),
        environment=environment,
        folder=folder,
        succeed="say it",
        fail="[[scenario:refusal]]",
        slow='[[scenario:slow {"seconds": 60}]]',
        environment_prompt='[[scenario:tool_use {"command": "env"}]]',
    )


def find_codex() -> str:
    """The real Codex CLI: MESH_TEST_CODEX, `.tools`, or the PATH."""
    kept = ROOT / ".tools/node_modules/.bin/codex"
    program = os.environ.get("MESH_TEST_CODEX") or (str(kept) if kept.exists() else None)
    if program is None and (program := shutil.which("codex")) is None:
        missing_tool("the Codex CLI (npm install -g @openai/codex@0.169.0)")
    return str(program)


def codex_subject(
    environment: dict[str, str], folder: Path, tmp_path: Path, api: ModelApi
) -> Subject:
    program = find_codex()
    home = Path(environment["HOME"]) / ".codex"
    home.mkdir()
    # With bubblewrap Codex makes helper programs in its home, and none below the temporary folder.
    (tmp_path / "tmp").mkdir()
    environment = environment | {"TMPDIR": str(tmp_path / "tmp")}
    (home / "config.toml").write_text(
        'model_provider = "loopback"\n[model_providers.loopback]\nname = "loopback"\n'
        f'base_url = "{api.url}/v1"\nenv_key = "LOOPBACK_KEY"\nwire_api = "responses"\n'
        "request_max_retries = 1\nstream_max_retries = 1\n"
    )

    def runner(path: str) -> CodexRunner:
        settings = CodexSettings(program=path, model="gpt-5", memory=tmp_path / "codex")
        return CodexRunner(settings, environment=environment)

    return Subject(
        runner=runner(program),
        missing=lambda: runner("/nowhere/codex"),
        environment=environment,
        folder=folder,
        succeed="say it",
        fail="[[scenario:too_long]]",
        slow='[[scenario:slow {"seconds": 60}]]',
        environment_prompt='[[scenario:tool_use {"command": "env"}]]',
        failure=Outcome.PERMANENT,
    )


async def test_a_success_ends_once_with_its_text_and_its_usage(subject: Subject) -> None:
    await subject.runner.check()
    seen = await subject.run(subject.succeed)
    assert len(seen.of(Ended)) == 1
    assert seen.ended.outcome is Outcome.OK
    assert seen.ended.text
    said = "".join(event.text for event in seen.of(TextSaid) if isinstance(event, TextSaid))
    assert seen.ended.text.strip() in said
    assert seen.of(UsageSeen)
    assert len(seen.ended.usage) == 1
    assert seen.ended.session_id


async def test_a_failure_is_classified_and_explained(subject: Subject) -> None:
    seen = await subject.run(subject.fail)
    assert seen.ended.outcome is subject.failure
    assert seen.ended.error


async def test_an_interrupt_ends_it_with_its_session_kept(
    subject: Subject, model_api: ModelApi
) -> None:
    seen = Seen(await subject.runner.start(subject.job(subject.slow)))
    async for event in seen.follow():
        if isinstance(event, SessionStarted) and subject.runner.name == "codex":
            # It tells no text before the message is whole; until its request it ignores signals.
            await until(lambda: model_api.books.requests)
            await seen.run.interrupt()
        elif isinstance(event, TextSaid):
            await seen.run.interrupt()
    assert seen.ended.outcome is Outcome.INTERRUPTED
    assert seen.ended.session_id


async def test_a_kill_leaves_no_process(subject: Subject) -> None:
    seen = Seen(await subject.runner.start(subject.job(subject.slow)))
    killed = False
    async for event in seen.follow():
        if not killed and isinstance(event, SessionStarted | TextSaid):
            killed = True
            await seen.run.kill(grace_s=0.5)
    assert seen.ended.outcome is Outcome.KILLED
    assert find_marked(Mark(AGENT, FENCE)) == []


async def test_a_missing_program_is_named_with_the_remedy(subject: Subject) -> None:
    if not subject.has_process:
        assert (await subject.missing().check()).facts
        return
    with pytest.raises(RunnerUnavailableError, match="nowhere") as caught:
        await subject.missing().check()
    assert "agent." in caught.value.message
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    "prompt", ["--version", "/cost", "@/etc/hostname !ls", "- 'quoted' \n$HOME"]
)
async def test_a_prompt_is_text_whatever_it_begins_with(
    subject: Subject, prompt: str, model_api: ModelApi
) -> None:
    seen = await subject.run(prompt)
    assert seen.ended.outcome is Outcome.OK
    if subject.runner.name in ("claude", "codex"):
        messages = json.dumps(model_api.books.requests[0])
        assert json.dumps(prompt)[1:-1] in messages
    elif subject.verbatim:
        assert prompt.strip() in seen.ended.text


async def test_nothing_of_the_surroundings_reaches_what_it_runs(subject: Subject) -> None:
    if subject.environment_prompt is None:
        assert not subject.has_process
        return
    seen = await subject.run(subject.environment_prompt)
    shown = "".join(event.text for event in seen.of(ToolEnded) if isinstance(event, ToolEnded))
    assert "MESH_ATTEMPT" in shown
    assert CANARY not in shown


async def test_a_session_is_resumed_and_counts_only_what_the_new_run_used(
    subject: Subject,
) -> None:
    first = await subject.run(subject.succeed)
    second = await subject.run("and again", session_id=first.ended.session_id)
    assert second.ended.outcome is Outcome.OK
    assert second.ended.session_id == first.ended.session_id
    assert second.ended.usage == first.ended.usage
