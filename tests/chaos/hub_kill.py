"""`kill -9` of the real hub, again and again, under four submitters and three agents.

`python -m tests.chaos.hub_kill [KILLS] [SEED]` prints what it saw and fails on any broken promise:
an acknowledged submit or result that is lost, a result applied twice, a fence given out twice.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from common.client import HubClient, HubError, HubUnreachableError, NodeApi, OperatorApi
from common.wire.admin import Role
from common.wire.nodes import Claim, Heartbeat, Lease, PostResult, RegisterNode, StartAttempt
from common.wire.tasks import TERMINAL_STATES, SubmitTask, TaskState
from tests.contract.hubd.harness import HubProcess

T = TypeVar("T")

SUBMITTERS = 4
AGENTS = ("Archon", "Rex", "Crucible")
SLOTS = 5
COST_USD = 0.5
STANDSTILL_S = 60.0
BACKLOG = 300
"""So many tasks without a result make the submitters wait: the run drains in bounded time."""
UP_S = (0.05, 0.5)
REST = 0.1
REST_S = (1.0, 5.0)
"""Now and then it lives longer than a lease: a hub that never does keeps leases whose answer was
lost in its grace for ever, and a run in which nothing moves shows nothing."""
RETRY_S = 0.1
"""Often enough to be there at once; more would only slow the hub's start on a small machine."""
ENV = {
    "MESH_HUB__HEARTBEAT_S": "0.4",
    "MESH_HUB__STALE_AFTER_S": "2",
    "MESH_HUB__START_WITHIN_S": "1",
    "MESH_HUB__LEASE_S": "3",
    "MESH_HUB__STOP_AFTER_S": "2",
    "MESH_HUB__LOST_AFTER_S": "18",
}


@dataclass(slots=True)
class Ledger:
    """What the hub acknowledged: it must all be found again."""

    submitted: dict[str, int] = field(default_factory=dict)
    """Task id by idempotency key."""
    results: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Task id and text by fence, for results answered `applied` or `duplicate`."""
    fences: Counter[int] = field(default_factory=Counter)
    retries: int = 0


@dataclass(slots=True)
class Chaos:
    """One run: clients that never give up against a hub that keeps dying."""

    process: HubProcess
    ledger: Ledger
    draining: asyncio.Event
    done: asyncio.Event

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until the hub answered it, as a client with a spool does."""
        while True:
            try:
                return await call()
            except HubUnreachableError:
                self.ledger.retries += 1
            except HubError as error:
                if error.hub_status < 500:
                    raise
                self.ledger.retries += 1
            await asyncio.sleep(RETRY_S)

    async def submit(self, name: str) -> None:
        number = 0
        async with await self._client(Role.OPERATOR) as client:
            operator = OperatorApi(client)
            while not self.draining.is_set():
                if len(self.ledger.submitted) - len(self.ledger.results) >= BACKLOG:
                    await asyncio.sleep(RETRY_S)
                    continue
                key = f"{name}-{number}"
                request = SubmitTask(prompt=f"work {key}")
                task = await self.insist(
                    lambda r=request, k=key: operator.submit(r, idempotency_key=k)  # type: ignore[misc]
                )
                self.ledger.submitted[key] = task.id
                number += 1
                await asyncio.sleep(0.01)

    async def serve(self, name: str) -> None:
        """One agent: registers, beats, claims, runs and reports."""
        async with await self._client(Role.NODE, name) as client:
            node = NodeApi(client, name)
            await self.insist(lambda: node.register(RegisterNode(slots=SLOTS)))
            running: set[int] = set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat(node, running))
                group.create_task(self._work(node, running))

    async def _beat(self, node: NodeApi, running: set[int]) -> None:
        while not self.done.is_set():
            with suppress(HubUnreachableError, HubError):
                await node.heartbeat(Heartbeat(running=sorted(running)))
            await asyncio.sleep(0.2)

    async def _work(self, node: NodeApi, running: set[int]) -> None:
        async with asyncio.TaskGroup() as group:
            while not self.done.is_set():
                free = SLOTS - len(running)
                try:
                    claim = Claim(free_slots=max(free, 1), wait_s=0.2)
                    leases = (await node.claim(claim)).leases if free else []
                except (HubUnreachableError, HubError):
                    leases = []
                    await asyncio.sleep(RETRY_S)
                for lease in leases:
                    self.ledger.fences[lease.fence] += 1
                    running.add(lease.fence)
                    group.create_task(self._run(node, lease, running))
                await asyncio.sleep(0.01)

    async def _run(self, node: NodeApi, lease: Lease, running: set[int]) -> None:
        text = f"{node.name} did {lease.task.prompt} as {lease.fence}"
        try:
            await self.insist(lambda: node.start(lease.fence, StartAttempt()))
            await asyncio.sleep(0.02)
            result = PostResult(outcome="ok", text=text, cost_usd=COST_USD)
            await self.insist(lambda: node.result(lease.fence, result))
            self.ledger.results[lease.fence] = (lease.task.id, text)
        except HubError as error:
            if error.hub_code != "fenced":
                raise
        finally:
            running.discard(lease.fence)

    async def _client(self, role: Role, name: str | None = None) -> HubClient:
        return await self.process.hub.client(role, name)


async def run(home: Path, env: dict[str, str], *, kills: int, seed: int) -> Ledger:
    """Kill the hub so many times, let the work drain, and check every promise."""
    rng = random.Random(seed)
    process = HubProcess(home, {**env, **ENV})
    for role, name in [(Role.OPERATOR, None), *((Role.NODE, name) for name in AGENTS)]:
        await process.hub.token(role, name)
    chaos = Chaos(process, Ledger(), asyncio.Event(), asyncio.Event())
    await asyncio.to_thread(process.start)
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(SUBMITTERS):
                group.create_task(chaos.submit(f"s{number}"))
            for name in AGENTS:
                group.create_task(chaos.serve(name))
            for _ in range(kills):
                await asyncio.sleep(rng.uniform(*(REST_S if rng.random() < REST else UP_S)))
                await asyncio.to_thread(process.stop, signal.SIGKILL)
                if rng.random() < 0.2:  # now and then it does not even come up
                    process.spawn()
                    await asyncio.sleep(rng.uniform(0.2, 0.8))
                    await asyncio.to_thread(process.stop, signal.SIGKILL)
                await asyncio.to_thread(process.start)
            chaos.draining.set()
            amid = len(chaos.ledger.results)
            assert amid >= kills, f"only {amid} results amid {kills} kills: nothing was at stake"
            await _drained(chaos)
            await _check(chaos)
            chaos.done.set()
        await asyncio.to_thread(process.stop)
    finally:
        process.close()
    return chaos.ledger


async def _drained(chaos: Chaos) -> None:
    """Every task comes to its end; a long run leaves many, so only a standstill counts as stuck."""
    loop, results = asyncio.get_running_loop(), chaos.ledger.results
    async with await process_client(chaos) as client:
        operator = OperatorApi(client)
        known, since = len(results), loop.time()
        while (await operator.tasks(state="waiting,live", limit=1)).tasks:
            if len(results) > known:
                known, since = len(results), loop.time()
            assert loop.time() - since < STANDSTILL_S, "L1: tasks that never end"
            await asyncio.sleep(0.1)


async def process_client(chaos: Chaos) -> HubClient:
    return await chaos.process.hub.client(Role.OPERATOR, timeout_s=30)


async def _check(chaos: Chaos) -> None:
    """Every promise of the hub, against the ledger of what it acknowledged."""
    ledger = chaos.ledger
    async with await process_client(chaos) as client:
        operator = OperatorApi(client)
        tasks = {}
        before = None
        while True:
            page = await operator.tasks(limit=500, before=before)
            tasks |= {task.id: task for task in page.tasks}
            if (before := page.next_before) is None:
                break
        assert len(set(ledger.submitted.values())) == len(ledger.submitted), "a task for two keys"
        for key, task_id in ledger.submitted.items():
            assert tasks[task_id].prompt == f"work {key}", f"submit {key} lost"
        assert len(tasks) == len(ledger.submitted), "a task nobody submitted"
        assert all(task.state in TERMINAL_STATES for task in tasks.values())
        assert max(ledger.fences.values(), default=0) <= 1, "a fence given out twice"

        reported = dict(ledger.results.values())
        assert len(reported) == len(ledger.results), "two results applied to one task"
        attempts = 0
        for task_id, task in tasks.items():
            detail = await operator.task(task_id)
            applied = [a for a in detail.attempts if a.outcome == "ok"]
            attempts += sum(1 for a in detail.attempts if a.cost_usd)
            if task.state is TaskState.SUCCEEDED:
                assert len(applied) == 1, f"task {task_id} applied {len(applied)} times"
                assert reported[task_id] == detail.result, f"result of {task_id} lost"
            else:
                assert task_id not in reported, f"acknowledged result of {task_id} lost"
        spent = (await operator.costs("task")).total.cost_usd
        assert abs(spent - attempts * COST_USD) < 1e-6, "cost rows and attempts differ"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "mesh"
        home.mkdir(mode=0o700)
        env = {"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": os.getcwd()}
        ledger = asyncio.run(run(home, env, kills=kills, seed=seed))
    print(
        f"{kills} kills (seed {seed}): {len(ledger.submitted)} submits and {len(ledger.results)} "
        f"results acknowledged, {ledger.retries} calls repeated; 0 lost, 0 applied twice"
    )


if __name__ == "__main__":
    main()
