"""Children, their lines and what they leave, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from agentd.child import Child
from agentd.environment import AGENT_MARK, ATTEMPT_MARK, attempt_environment
from agentd.errors import SpawnError, UnfitError
from agentd.lines import LineReader
from agentd.sweep import Mark, find_marked, sweep
from tests.contract.agentd.agent_process import alive, until

AGENT = f"unit-{os.getpid()}"


def environment(fence: int = 1) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], AGENT_MARK: AGENT, ATTEMPT_MARK: str(fence)}


async def spawn(script: str, folder: Path, fence: int = 1) -> Child:
    return await Child.spawn(["sh", "-c", script], folder=folder, environment=environment(fence))


async def all_lines(child: Child) -> list[bytes]:
    return [line async for line in child.stdout]


async def test_a_child_hears_and_answers_and_its_complaints_are_kept(tmp_path: Path) -> None:
    child = await spawn("cat; echo oops >&2; exit 3", tmp_path)
    await child.write(b"one\ntwo")
    child.close_stdin()
    assert await all_lines(child) == [b"one", b"two"]
    assert await child.wait() == 3
    assert child.stderr_tail == "oops"


async def test_a_grandchild_that_holds_the_pipes_does_not_hold_us(tmp_path: Path) -> None:
    child = await spawn("echo said; sleep 60 & exit 0", tmp_path)
    began = time.monotonic()
    assert await all_lines(child) == [b"said"]
    assert await child.wait() == 0
    assert time.monotonic() - began < 10
    await asyncio.to_thread(sweep, Mark(AGENT))
    assert find_marked(Mark(AGENT)) == []


async def test_what_was_said_just_before_the_end_is_read_by_a_slow_reader(tmp_path: Path) -> None:
    child = await spawn("seq 1 5000", tmp_path)
    first = await child.stdout.line()
    await until(lambda: not alive(child.pid))
    rest = await all_lines(child)
    assert (first, rest[-1], len(rest)) == (b"1", b"5000", 4_999)
    await child.wait()


async def test_a_kill_reaches_a_child_that_ignores_term(tmp_path: Path) -> None:
    child = await spawn("trap '' TERM; echo ready; while :; do sleep 1; done", tmp_path)
    assert await child.stdout.line() == b"ready"
    await child.kill(grace_s=0.2)
    assert await child.wait() == -9


async def test_a_folder_that_is_gone_is_a_spawn_error_and_a_program_is_not(tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match="/nowhere/program is not there"):
        await Child.spawn(["/nowhere/program"], folder=tmp_path, environment={})
    with pytest.raises(SpawnError, match="could not be started"):
        await Child.spawn(["sh"], folder=tmp_path / "gone", environment=environment())


async def test_a_cancelled_read_loses_nothing(tmp_path: Path) -> None:
    child = await spawn("cat", tmp_path)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await child.stdout.line()
    await child.write(b"kept\n")
    assert await child.stdout.line() == b"kept"
    await child.kill(grace_s=1.0)
    await child.wait()


async def test_a_line_over_the_limit_is_dropped_and_the_next_one_read() -> None:
    stream = asyncio.StreamReader()
    leader = asyncio.create_task(_never(), name="leader")
    reader = LineReader(stream, leader, max_line_bytes=100)
    stream.feed_data(b"x" * 5000)
    reading = asyncio.create_task(reader.line())
    await asyncio.sleep(0)
    stream.feed_data(b"y" * 200_000 + b"\nshort\nlast")
    stream.feed_eof()
    assert await reading == b"short"
    assert await reader.line() == b"last"
    assert await reader.line() is None
    assert reader.dropped == 1
    leader.cancel()


async def _never() -> int:
    await asyncio.Event().wait()
    return 0


async def test_a_sweep_ends_its_own_fence_and_no_other(tmp_path: Path) -> None:
    mine = await spawn("trap '' TERM HUP; sleep 60", tmp_path, fence=1)
    other = await spawn("sleep 60", tmp_path, fence=2)
    await until(lambda: find_marked(Mark(AGENT, 1)) and find_marked(Mark(AGENT, 2)))
    assert await asyncio.to_thread(sweep, Mark(AGENT, 1)) >= 1
    assert find_marked(Mark(AGENT, 1)) == []
    assert find_marked(Mark(AGENT, 2))
    assert await asyncio.to_thread(sweep, Mark("somebody else")) == 0
    await asyncio.to_thread(sweep, Mark(AGENT))
    assert await mine.wait() == -9
    assert await other.wait() == -9


async def test_an_orphan_in_the_folder_that_shed_its_mark_is_found(tmp_path: Path) -> None:
    shed = f"env -i {sys.executable} -c 'import time; time.sleep(60)'"
    child = await spawn(f"(setsid {shed} >/dev/null 2>&1 &); exit 0", tmp_path)
    await child.wait()
    await until(lambda: find_marked(Mark(AGENT, 1, tmp_path)))
    assert find_marked(Mark(AGENT, 1)) == []
    assert await asyncio.to_thread(sweep, Mark(AGENT, 1, tmp_path)) == 1


def test_an_environment_holds_nothing_but_what_is_named() -> None:
    own = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "ANTHROPIC_API_KEY": "secret",
        "MESH_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "LD_PRELOAD": "x",
    }
    made = attempt_environment(own, {"EXTRA": "1", "PATH": "/mine"}, fence=9, agent_mark="a")
    assert made == {
        "PATH": "/mine",
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "EXTRA": "1",
        ATTEMPT_MARK: "9",
        AGENT_MARK: "a",
    }


def test_a_configured_environment_cannot_take_the_marks_away() -> None:
    made = attempt_environment({}, {ATTEMPT_MARK: "1", AGENT_MARK: "x"}, fence=9, agent_mark="a")
    assert (made[ATTEMPT_MARK], made[AGENT_MARK]) == ("9", "a")
