"""However an attempt or its agent ends, nothing of it stays alive: the real CLI, real processes."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentd.environment import AGENT_MARK
from common.wire.tasks import Outcome
from tests.contract.agentd.agent_process import agentd, alive, until
from tests.contract.agentd.scripted_hub import ScriptedHub
from tests.fakes.model_api import ModelApi

pytestmark = pytest.mark.claude

Settings = dict[str, Any]

SHELTERED = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > {pidfile}; exec sleep 300' &"
FOREGROUND = "trap '' TERM HUP INT; echo $$ > {pidfile}; cat /dev/zero > /dev/null"


def scenario(name: str, **args: object) -> str:
    return f"[[scenario:{name} {json.dumps(args)}]]"


def read_pid(pidfile: Path) -> int | None:
    text = pidfile.read_text().strip() if pidfile.exists() else ""
    return int(text) if text else None


def marked_processes(home: str) -> list[int]:
    """Living processes of any attempt below this test's HOME."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if AGENT_MARK in environment and environment.get("HOME") == home and alive(process.pid):
            found.append(process.pid)
    return found


async def test_a_cancel_ends_even_a_child_that_ignores_term_in_a_session_of_its_own(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, free_hands: Settings
) -> None:
    away, here = tmp_path / "away.pid", tmp_path / "here.pid"
    command = SHELTERED.format(pidfile=away) + " " + FOREGROUND.format(pidfile=here)
    fence = await hub.offer(scenario("tool_use", command=command))
    async with agentd(hub, clean_env, tmp_path, **free_hands):
        await until(lambda: read_pid(away) and read_pid(here))
        hub.kills.add(fence)
        result = await hub.result_of(fence, within_s=15)
        assert not alive(read_pid(away) or 0)
        assert not alive(read_pid(here) or 0)
        assert marked_processes(clean_env["HOME"]) == []
    assert result.outcome == Outcome.KILLED
    assert result.usage[0].output_tokens == 23


async def test_what_an_attempt_leaves_in_the_background_ends_with_it(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, free_hands: Settings
) -> None:
    left, bare = tmp_path / "left.pid", tmp_path / "bare.pid"
    shed = SHELTERED.format(pidfile=bare).replace("setsid", "env -i PATH=$PATH setsid", 1)
    command = f"({SHELTERED.format(pidfile=left)}) >/dev/null 2>&1; ({shed}) >/dev/null 2>&1; sync"
    wait = f"while [ ! -s {left} ] || [ ! -s {bare} ]; do :; done"
    fence = await hub.offer(scenario("tool_use", command=f"{command}; {wait}"))
    async with agentd(hub, clean_env, tmp_path, **free_hands):
        result = await hub.result_of(fence)
        assert result.outcome == Outcome.OK
        assert not alive(read_pid(left) or 0)
        assert not alive(read_pid(bare) or 0)


@pytest.mark.shutdown
async def test_sigterm_ends_agentd_and_its_work_within_two_seconds(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    fence = await hub.offer(scenario("slow", seconds=60))
    async with agentd(hub, clean_env, tmp_path, **claude_settings) as agent:
        await hub.until(lambda: hub.outputs)
        agent.signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        assert await agent.wait() == 0
        assert time.monotonic() - stopped_at < 2.0
    assert marked_processes(clean_env["HOME"]) == []
    result = hub.results[fence]
    assert result.outcome == Outcome.INTERRUPTED
    assert result.session_id
    served = model_api.books.served[0].usage
    assert result.usage[0].input_tokens == served.input_tokens


async def test_sigkill_of_agentd_leaves_nothing_and_its_successor_reports_the_loss(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, free_hands: Settings
) -> None:
    away, here = tmp_path / "away.pid", tmp_path / "here.pid"
    command = SHELTERED.format(pidfile=away) + " " + FOREGROUND.format(pidfile=here)
    fence = await hub.offer(scenario("tool_use", command=command))
    async with agentd(hub, clean_env, tmp_path, **free_hands) as agent:
        await until(lambda: read_pid(away) and read_pid(here))
        agent.signal(signal.SIGKILL)
        await agent.wait()
        await until(lambda: not marked_processes(clean_env["HOME"]), within_s=15)
    assert not alive(read_pid(away) or 0)
    assert not alive(read_pid(here) or 0)
    async with agentd(hub, clean_env, tmp_path, **free_hands):
        result = await hub.result_of(fence)
    assert (result.outcome, result.partial) == (Outcome.LOST, True)
    assert result.session_id
    assert result.usage[0].output_tokens == 23


async def test_a_successor_ends_what_was_left_when_the_guardian_was_killed_too(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, free_hands: Settings
) -> None:
    away = tmp_path / "away.pid"
    await hub.offer(scenario("tool_use", command=SHELTERED.format(pidfile=away) + " cat /dev/zero"))
    async with agentd(hub, clean_env, tmp_path, **free_hands) as agent:
        await until(lambda: read_pid(away))
        for child in psutil.Process(agent.pid).children():
            if "agentd.guardian" in child.cmdline():
                child.kill()
        agent.signal(signal.SIGKILL)
        await agent.wait()
    assert alive(read_pid(away) or 0)
    async with agentd(hub, clean_env, tmp_path, **free_hands):
        await hub.until(lambda: len(hub.registrations) == 2)
        assert not alive(read_pid(away) or 0)


async def test_a_fenced_attempt_is_ended_and_reports_nothing(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    fence = await hub.offer(scenario("slow", seconds=60))
    async with agentd(hub, clean_env, tmp_path, **claude_settings) as agent:
        await hub.until(lambda: hub.outputs)
        hub.stale.add(fence)
        await until(lambda: any("dropped" in line["event"] for line in agent.log()))
        assert marked_processes(clean_env["HOME"]) == []
    assert fence not in hub.results


async def test_a_cancelled_session_can_be_continued(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        first = await hub.offer(scenario("slow", seconds=60))
        await hub.until(lambda: hub.outputs)
        hub.kills.add(first)
        killed = await hub.result_of(first)
        assert killed.outcome == Outcome.KILLED
        second = await hub.offer("go on, shorter", session_id=killed.session_id)
        after = await hub.result_of(second)
    assert after.outcome == Outcome.OK
    assert after.session_id == killed.session_id
    assert after.text.startswith("Done. Prompts seen in this session: ")
    assert not after.text.endswith(" 1.")


async def test_a_session_survives_the_sigkill_of_its_agent(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
) -> None:
    first = await hub.offer("the first words " + scenario("slow", seconds=60))
    async with agentd(hub, clean_env, tmp_path, **claude_settings) as agent:
        await hub.until(lambda: hub.outputs)
        agent.signal(signal.SIGKILL)
        await agent.wait()
    async with agentd(hub, clean_env, tmp_path, **claude_settings):
        lost = await hub.result_of(first)
        second = await hub.offer(scenario("success"), session_id=lost.session_id)
        after = await hub.result_of(second)
    assert (after.outcome, after.session_id) == (Outcome.OK, lost.session_id)
    assert "the first words" in json.dumps(model_api.books.requests[-1])
    assert lost.usage[0].input_tokens == model_api.books.served[0].usage.input_tokens
