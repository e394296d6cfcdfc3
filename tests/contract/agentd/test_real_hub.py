"""The daemon against the real hub, where the hub's own limits count."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from common.client import OperatorApi
from common.wire.admin import Role
from common.wire.tasks import TERMINAL_STATES, SubmitTask, TaskState
from tests.contract.agentd.agent_process import agentd, until
from tests.contract.agentd.scripted_hub import NODE
from tests.contract.hubd.harness import local_hub

LONG_LINE = "print('x' * 120_000, flush=True); print('日' * 500_000); print('the answer')"


async def test_output_beyond_what_the_hub_takes_ends_no_attempt_and_loses_no_result(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """Lines over the 100,000 characters of an item, batches and a result over the hub's 1 MiB."""
    home = tmp_path / "hub"
    home.mkdir(mode=0o700)
    command = [sys.executable, "-c", LONG_LINE]
    async with local_hub(home) as hub:
        token = await hub.token(Role.NODE, NODE)
        where: Any = SimpleNamespace(url=hub.url)
        operator = OperatorApi(await hub.client(Role.OPERATOR))
        async with (
            operator.client,
            agentd(where, clean_env, tmp_path, token=token, runner="command", command=command),
        ):
            task = await operator.submit(SubmitTask(prompt="p"), idempotency_key="k")
            async with asyncio.timeout(20):
                while (done := await operator.task(task.id)).state not in TERMINAL_STATES:
                    pass  # each look is a request: it yields
    assert (done.state, len(done.attempts)) == (TaskState.SUCCEEDED, 1)
    assert done.result is not None
    assert done.result.endswith("(the rest was too long to send)")


CHILD = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}.'); time.sleep(600)"


async def test_a_stop_ends_the_process_of_a_full_node_without_waiting_for_a_heartbeat(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """It had to wait for the next heartbeat; here that is a minute away."""
    home = tmp_path / "hub"
    home.mkdir(mode=0o700)
    pid_file = tmp_path / "pid"
    command = [sys.executable, "-c", CHILD, str(pid_file)]
    slow = {"MESH_HUB__HEARTBEAT_S": "60", "MESH_HUB__LEASE_S": "300",
            "MESH_HUB__STALE_AFTER_S": "200"}  # fmt: skip
    async with local_hub(home, slow) as hub:
        token = await hub.token(Role.NODE, NODE)
        where: Any = SimpleNamespace(url=hub.url)
        operator = OperatorApi(await hub.client(Role.OPERATOR))
        async with (
            operator.client,
            agentd(
                where, clean_env, tmp_path, token=token, runner="command", command=command, slots=1
            ),
        ):
            for key in ("first", "second"):
                task = await operator.submit(SubmitTask(prompt="p"), idempotency_key=key)
                await until(lambda: pid_file.exists() and pid_file.read_text().endswith("."))
                pid = int(pid_file.read_text()[:-1])
                pid_file.unlink()
                await operator.cancel(task.id)
                async with asyncio.timeout(20):
                    while (done := await operator.task(task.id)).state not in TERMINAL_STATES:
                        pass  # each look is a request: it yields
                assert done.state is TaskState.CANCELLED
                assert not psutil.pid_exists(pid)


async def test_a_node_whose_program_is_gone_takes_no_work_until_it_is_there_again(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """`claude_moved`: no attempt is used, no fault counted, nobody restarts anything."""
    home = tmp_path / "hub"
    home.mkdir(mode=0o700)
    program, away = tmp_path / "worker", tmp_path / "away"
    program.write_text("#!/bin/sh\ncat >/dev/null\necho done\n")
    program.chmod(0o755)
    async with local_hub(home, {"MESH_HUB__HEARTBEAT_S": "1"}) as hub:
        token = await hub.token(Role.NODE, NODE)
        where: Any = SimpleNamespace(url=hub.url)
        operator = OperatorApi(await hub.client(Role.OPERATOR))
        async with (
            operator.client,
            agentd(where, clean_env, tmp_path, token=token, runner="command",
                   command=[str(program)]),
        ):  # fmt: skip
            async with asyncio.timeout(30):
                while not (await operator.nodes()).nodes:
                    pass  # each look is a request: it yields
                program.rename(away)
                task = await operator.submit(SubmitTask(prompt="p"), idempotency_key="k")
                while (node := (await operator.nodes()).nodes[0]).accepting:
                    pass
                waiting = await operator.task(task.id)
                assert (waiting.state, waiting.attempt) == (TaskState.QUEUED, 0)
                assert str(program) in (node.not_accepting_reason or "")
                assert node.breaker.fails == 0
                away.rename(program)
                while (done := await operator.task(task.id)).state not in TERMINAL_STATES:
                    pass
    assert (done.state, done.attempt) == (TaskState.SUCCEEDED, 1)


SPENDER = """
import json, os, sys, time
def use(tokens):
    line = {"mesh": "usage", "model": "openai/gpt-5.5", "input_tokens": tokens}
    print(json.dumps(line), flush=True)
use(100_000)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
use(900_000)
time.sleep(600)
"""


async def test_a_running_task_shows_what_it_spends_and_is_ended_above_its_cap(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    """It showed $0.00 for minutes, then the day's cost jumped; see also `long_context_price`."""
    home = tmp_path / "hub"
    home.mkdir(mode=0o700)
    more = tmp_path / "more"
    command = [sys.executable, "-c", SPENDER, str(more)]
    async with local_hub(home, {"MESH_HUB__HEARTBEAT_S": "1"}) as hub:
        token = await hub.token(Role.NODE, NODE)
        where: Any = SimpleNamespace(url=hub.url)
        operator = OperatorApi(await hub.client(Role.OPERATOR))
        async with (
            operator.client,
            agentd(where, clean_env, tmp_path, token=token, runner="command", command=command),
        ):
            request = SubmitTask(prompt="p", max_cost_usd=1.0)
            task = await operator.submit(request, idempotency_key="k")
            async with asyncio.timeout(30):
                while not (seen := await operator.task(task.id)).cost_usd:
                    pass  # each look is a request: it yields
                assert (seen.state, seen.cost_usd) == (TaskState.RUNNING, 0.5)
                assert (await operator.snapshot()).spend.running_usd == 0.5
                more.touch()
                while (done := await operator.task(task.id)).state not in TERMINAL_STATES:
                    pass
            total = (await operator.costs("model", days=1)).total
    assert (done.state, done.cost_usd, done.attempts[0].partial) == (TaskState.FAILED, 4.5, True)
    assert "more than its cap of $1.00" in (done.error or "")
    assert (total.cost_usd, total.running_attempts) == (4.5, 0)
