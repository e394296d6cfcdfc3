"""Programs that move, vanish or cannot be run: found again, or said with what to do."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from agentd.child import Child
from agentd.contact import Standing
from agentd.errors import RunnerUnavailableError, SpawnError, TaskError, UnfitError
from agentd.fitness import Fitness
from agentd.runners.claude import ClaudeRunner
from agentd.runners.claude_launch import ClaudeSettings
from agentd.runners.claude_outcome import classify
from agentd.runners.claude_stream import Fold
from agentd.runners.command import CommandRunner
from agentd.runners.exits import Exit
from agentd.runners.programs import Signature, beside, find_tool, while_busy, why_not
from common.clock import SystemClock
from common.wire.nodes import Lease, TaskSpec
from common.wire.tasks import Outcome


def script(path: Path, text: str = "#!/bin/sh\necho '2.1.330 (Claude Code)'\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def lease(**spec: Any) -> Lease:
    task = TaskSpec(id=1, prompt="p", **spec)
    return Lease(task=task, attempt=1, fence=1, lease_s=60.0)


@pytest.mark.parametrize(
    "place",
    [
        ".local/bin", ".claude/local", ".volta/bin", ".nvm/versions/node/v22.9.0/bin",
        ".local/share/mise/shims",
    ],
)  # fmt: skip
def test_a_tool_that_left_the_path_is_looked_for_where_installers_put_it(
    tmp_path: Path, place: str
) -> None:
    found = script(tmp_path / place / "claude")
    environment = {"HOME": str(tmp_path), "PATH": "/nowhere"}
    assert find_tool("claude", environment) == str(found)
    assert find_tool("/opt/old/claude", environment) == str(found)
    assert find_tool("codex", environment) is None
    assert beside(str(found), environment)["PATH"] == f"/nowhere:{found.parent}"


def test_the_newest_node_of_nvm_and_the_path_before_all_win(tmp_path: Path) -> None:
    for version in ("v9.11.2", "v22.9.0", "v22.10.0"):
        script(tmp_path / ".nvm/versions/node" / version / "bin/claude")
    on_path = script(tmp_path / "bin/claude")
    home = {"HOME": str(tmp_path)}
    assert "v22.10.0" in (find_tool("claude", home | {"PATH": "/nowhere"}) or "")
    assert find_tool("claude", home | {"PATH": str(on_path.parent)}) == str(on_path)


async def test_claude_is_looked_for_before_every_start_and_checked_when_it_changed(
    tmp_path: Path,
) -> None:
    """`claude_moved`."""
    old = script(tmp_path / "v1/claude")
    environment = {"PATH": f"{old.parent}:{tmp_path / 'v2'}:/usr/bin:/bin"}
    runner = ClaudeRunner(
        ClaudeSettings(), environment=environment, new_id=lambda: "s", memory=tmp_path
    )
    assert await runner.find() == str(old)
    new = tmp_path / "v2/claude"
    new.parent.mkdir()
    old.rename(new)
    assert await runner.find() == str(new)
    script(new, "#!/bin/sh\necho '1.0.0 (Claude Code)'\n")
    with pytest.raises(RunnerUnavailableError, match="claude update"):
        await runner.find()
    new.unlink()
    with pytest.raises(RunnerUnavailableError, match="Install it"):
        await runner.find()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: script(path, "#!/nowhere/node\n"), "its interpreter /nowhere/node"),
        (lambda path: script(path, "\0\0\0\0"), "not a program this machine can run"),
        (lambda path: path.write_text("x"), "may not be executed"),
        (lambda path: None, "is not there"),
    ],
)
async def test_what_keeps_a_program_from_starting_is_said_with_what_to_do(
    tmp_path: Path, make: Any, says: str
) -> None:
    make(tmp_path / "tool")
    with pytest.raises(UnfitError, match=says):
        await Child.spawn([str(tmp_path / "tool")], folder=tmp_path, environment={})


async def test_what_a_task_cannot_pass_on_is_the_tasks(tmp_path: Path) -> None:
    for argument in ("x" * 3_000_000, "a\0b"):
        with pytest.raises(TaskError, match="its specialist's file"):
            await Child.spawn(["/bin/echo", argument], folder=tmp_path, environment={})
    with pytest.raises(SpawnError):
        await Child.spawn(["/bin/echo"], folder=tmp_path / "gone", environment={})


def test_a_program_that_goes_while_it_is_looked_at_is_no_fault_of_the_node(tmp_path: Path) -> None:
    with pytest.raises(RunnerUnavailableError, match="is not there"):
        Signature.of(str(tmp_path / "claude"))


async def test_a_program_that_is_just_being_replaced_is_waited_for(tmp_path: Path) -> None:
    program = script(tmp_path / "tool", "#!/bin/sh\nexit 0\n")
    tries: list[int] = []

    async def start() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.ETXTBSY, "Text file busy")
        return str(program)

    assert await while_busy(start) == str(program)
    assert "being replaced" in why_not("x", OSError(errno.ETXTBSY, "Text file busy"))


@pytest.mark.parametrize("code", [126, 127])
def test_a_script_whose_interpreter_is_missing_makes_the_node_unfit_and_blames_nobody(
    code: int,
) -> None:
    ended = classify(Fold(), Exit(returncode=code, stderr="env: node: No such file or directory"))
    assert (ended.outcome, ended.unfit) == (Outcome.INTERRUPTED, True)
    assert "env: node" in (ended.error or "")
    other = classify(Fold(), Exit(returncode=1, stderr="MCP config file not found: x.json"))
    assert (other.outcome, other.unfit) == (Outcome.PERMANENT, False)


async def test_an_unfit_node_says_why_at_once_and_takes_work_again_when_it_is_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentd.fitness.LOOK_FIRST_S", 0.01)
    program = script(tmp_path / "worker")
    runner = CommandRunner([str(program)], environment=dict(os.environ))
    standing = Standing(news=asyncio.Event(), drained=asyncio.Event())
    fitness = Fitness(runner, standing, SystemClock(), {"PATH": "/nowhere"})
    await fitness.check(lease())
    with pytest.raises(UnfitError, match="xcode-select"):
        await fitness.check(lease(project="shop"))
    program.unlink()
    with pytest.raises(UnfitError, match="worker"):
        await fitness.check(lease())
    assert not standing.accepting
    assert standing.news.is_set()
    fitness._missing.pop("git")
    looking = asyncio.create_task(fitness.run())
    script(program)
    standing.news.clear()
    async with asyncio.timeout(10):
        await standing.news.wait()
        while fitness.refusal is not None:
            standing.news.clear()
            await standing.news.wait()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
