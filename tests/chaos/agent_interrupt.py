"""The real Claude Code, interrupted at random moments: `kill -9` of agentd, a stop, a sleep beyond
the lease, and an outage of the hub; a second node is free all the time.

`python -m tests.chaos.agent_interrupt [ROUNDS] [SEED] [KIND …]` does each so many times, and fails
on any broken promise: another session, folder or node, a step done twice, a task told twice, a
token that the books of the model API and of the hub disagree about.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from common.client import HubError, HubUnreachableError, OperatorApi
from common.wire.admin import Role
from common.wire.nodes import DrainNode
from common.wire.tasks import TERMINAL_STATES, SubmitTask, TaskDetail, TaskState
from tests.contract.hubd.harness import HubProcess
from tests.fakes.model_api import ModelApi, serve_model_api

T = TypeVar("T")

OTHER = "Archon"
MODEL = "claude-sonnet-5-5"
STEPS = 12
LEASE_S = 3.0
WITHIN_S = 120.0
STEP_S, START_S = 0.3, 2.0
"""About what a step and the start of the CLI take."""

ENV = {
    "MESH_HUB__HEARTBEAT_S": "0.5",
    "MESH_HUB__STALE_AFTER_S": "2",
    "MESH_HUB__START_WITHIN_S": "10",
    "MESH_HUB__LEASE_S": str(LEASE_S),
    "MESH_HUB__STOP_AFTER_S": "60",
    "MESH_HUB__LOST_AFTER_S": "80",
    "MESH_HUB__WAIT_FOR_NODE_S": "60",
}


@dataclass(slots=True)
class Node:
    """One agentd with a home of its own; it can be ended and started again."""

    name: str
    home: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.home / "agentd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agentd"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(30)

    def everything(self) -> list[psutil.Process]:
        """The daemon and all that it runs, as a sleeping machine stops it."""
        assert self.process is not None
        leader = psutil.Process(self.process.pid)
        return [leader, *leader.children(recursive=True)]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


@dataclass(slots=True)
class Figures:
    """What one kind of interruption showed."""

    rounds: int = 0
    attempts: int = 0
    steps: int = 0
    tokens: int = 0
    before: list[int] = field(default_factory=list)
    """Steps that were done when it was interrupted."""


@dataclass(slots=True)
class Chaos:
    hub: HubProcess
    rex: Node
    api: ModelApi
    operator: OperatorApi
    rng: random.Random

    async def round(self, kind: str, number: int, figures: Figures) -> None:
        """One task, interrupted once, to its end."""
        self.api.books.reset()
        # It begins on Rex; from then on the other node is free to take it.
        await self.insist(lambda: self.operator.drain(OTHER, DrainNode()))
        steps = [
            {
                "text": f"Step {n}.",
                "tool": "Bash",
                "input": {"command": f"echo step-{n} >> marks; sleep 0.1", "description": "mark"},
            }
            for n in range(STEPS)
        ]
        script = json.dumps({"steps": [*steps, {"text": "All done."}], "across_prompts": True})
        prompt = f"Round {number} of {kind}. [[scenario:steps {script}]]"
        task = await self.insist(
            lambda: self.operator.submit(
                SubmitTask(prompt=prompt, title=f"{kind} {number}"),
                idempotency_key=f"{kind}-{number}",
            )
        )
        await self.until(task.id, lambda seen: seen.state is TaskState.RUNNING)
        await self.insist(lambda: self.operator.resume(OTHER))
        await self.some_moment(task.id)
        done = self.marks(task.id)
        await self.interrupt(kind)
        ended = await self.until(task.id, lambda seen: seen.state in TERMINAL_STATES)
        self.check(ended, figures)
        figures.before.append(len(done))

    async def some_moment(self, task_id: int) -> None:
        """While it starts, or between or in any of its steps."""
        wanted = self.rng.randrange(STEPS)
        async with asyncio.timeout(WITHIN_S):
            while len(self.marks(task_id)) < wanted:  # noqa: ASYNC110 - a file sends no event
                await asyncio.sleep(0.01)
        await asyncio.sleep(self.rng.uniform(0.0, STEP_S if wanted else START_S))

    async def interrupt(self, kind: str) -> None:
        match kind:
            case "kill":
                await asyncio.to_thread(self.rex.end, signal.SIGKILL)
                await asyncio.sleep(self.rng.uniform(0.0, LEASE_S * 1.5))
                self.rex.start()
            case "stop":
                await asyncio.to_thread(self.rex.end, signal.SIGTERM)
                await asyncio.sleep(self.rng.uniform(0.0, LEASE_S * 1.5))
                self.rex.start()
            case "sleep":
                asleep = self.rex.everything()
                for process in asleep:
                    with suppress(psutil.Error):
                        process.suspend()
                await asyncio.sleep(LEASE_S * self.rng.uniform(1.5, 2.5))
                for process in asleep:
                    with suppress(psutil.Error):
                        process.resume()
            case "hub":
                await asyncio.to_thread(self.hub.stop, signal.SIGKILL)
                await asyncio.sleep(LEASE_S * self.rng.uniform(1.5, 2.5))
                await asyncio.to_thread(self.hub.start)
            case _:
                raise SystemExit(f"no interruption is called {kind}")

    def marks(self, task_id: int) -> list[str]:
        """What the steps wrote, in whatever folder."""
        found = sorted((self.rex.home / "mesh" / "work" / str(task_id)).glob("*/marks"))
        return [line for path in found for line in path.read_text().split()]

    def check(self, task: TaskDetail, figures: Figures) -> None:
        """Every promise, of one task that came to its end."""
        assert task.state is TaskState.SUCCEEDED, f"#{task.id} {task.state}: {task.error}"
        assert task.result == "All done.", f"#{task.id} did not come to its last step"
        assert {a.node for a in task.attempts} == {"Rex"}, f"#{task.id} ran elsewhere"
        began = {a.session_id for a in task.attempts if a.started_at is not None}
        assert began == {task.session_id}, f"#{task.id} has the sessions {began}"
        folders = list((self.rex.home / "mesh" / "work" / str(task.id)).iterdir())
        assert len(folders) == 1, f"#{task.id} worked in {len(folders)} folders"
        marks = self.marks(task.id)
        assert len(marks) == len(set(marks)), f"#{task.id} did a step twice: {marks}"
        said = json.dumps(self.api.books.requests[-1]["messages"])
        assert said.count("[[scenario:steps") == 1, f"#{task.id} was told its task twice"
        served = self.api.books.totals().get(MODEL)
        assert served is not None
        booked = (
            task.input_tokens,
            task.output_tokens,
            task.cache_read_tokens,
            task.cache_write_tokens,
        )
        billed = (
            served.input_tokens,
            served.output_tokens,
            served.cache_read_input_tokens,
            served.cache_creation_input_tokens,
        )
        assert booked == billed, f"#{task.id} booked {booked} tokens, {billed} were served"
        figures.rounds += 1
        figures.attempts += len(task.attempts)
        figures.steps += len(marks)
        figures.tokens += sum(billed)

    async def until(self, task_id: int, wanted: Callable[[TaskDetail], bool]) -> TaskDetail:
        async with asyncio.timeout(WITHIN_S):
            while not wanted(seen := await self.insist(lambda: self.operator.task(task_id))):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return seen

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """The hub may be away: ask until it answers."""
        while True:
            try:
                return await call()
            except HubUnreachableError:
                await asyncio.sleep(0.2)
            except HubError as error:
                if error.hub_status not in (404, 500, 502, 503, 504):
                    raise
                await asyncio.sleep(0.2)


def claude_cli() -> str:
    named = os.environ.get("MESH_TEST_CLAUDE") or ".tools/node_modules/.bin/claude"
    path = Path(named).resolve()
    if not path.exists():
        raise SystemExit("Claude Code is not there: set MESH_TEST_CLAUDE to its path")
    return str(path)


async def make_node(hub: HubProcess, api: ModelApi, folder: Path, name: str) -> Node:
    home = folder / name
    (home / "mesh").mkdir(parents=True, mode=0o700)
    runner_env = {
        "ANTHROPIC_BASE_URL": api.url,
        "ANTHROPIC_API_KEY": "loopback-only",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "HOME": str(home),
    }
    entries = ", ".join(f"{key} = {json.dumps(value)}" for key, value in runner_env.items())
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": os.getcwd(),
        "MESH_HOME": str(home / "mesh"),
        "MESH_HUB_URL": hub.hub.url,
        "MESH_TOKEN": await hub.hub.token(Role.NODE, name),
        "MESH_AGENT__NAME": name,
        "MESH_AGENT__SLOTS": "1",
        "MESH_AGENT__MIN_FREE_MB": "0",
        "MESH_AGENT__DRAIN_S": "0",
        "MESH_AGENT__SANDBOX": "off",
        "MESH_AGENT__CLAUDE": claude_cli(),
        "MESH_AGENT__MODEL": MODEL,
        "MESH_AGENT__ALLOWED_TOOLS": '["Bash"]',
        "MESH_AGENT__ENV": f"{{ {entries} }}",
    }
    return Node(name, home, env)


KINDS = ("kill", "stop", "sleep", "hub")


async def run(
    folder: Path,
    *,
    rounds: int,
    seed: int,
    kinds: tuple[str, ...] = KINDS,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Figures]:
    """Each kind of interruption so many times; raises AssertionError for a broken promise."""
    home = folder / "hub"
    home.mkdir(mode=0o700)
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd()}
    hub = HubProcess(home, base | ENV)
    for role, name in ((Role.OPERATOR, None), (Role.NODE, "Rex"), (Role.NODE, OTHER)):
        await hub.hub.token(role, name)
    await asyncio.to_thread(hub.start)
    nodes: list[Node] = []
    figures = {kind: Figures() for kind in kinds}
    try:
        async with serve_model_api() as api, await hub.hub.client(Role.OPERATOR) as client:
            nodes = [await make_node(hub, api, folder, name) for name in ("Rex", OTHER)]
            operator = OperatorApi(client)
            chaos = Chaos(hub, nodes[0], api, operator, random.Random(seed))
            for node in nodes:
                node.start()
            for number in range(rounds):
                for kind in kinds:
                    await chaos.round(kind, number, figures[kind])
                    report(f"{kind} {number}: {figures[kind].before[-1]} steps done before")
    finally:
        for node in nodes:
            node.close()
        hub.close()
    return figures


def report(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    kinds = tuple(sys.argv[3:]) or KINDS
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(
            run(Path(folder), rounds=rounds, seed=seed, kinds=kinds, report=report)
        )
    for kind, seen in figures.items():
        report(
            f"{kind}: {seen.rounds} rounds, {seen.attempts} attempts, {seen.steps} steps, "
            f"{seen.tokens} tokens exact; 0 sessions, folders or nodes changed, 0 steps repeated"
        )
    report(f"seed {seed}")


if __name__ == "__main__":
    main()
