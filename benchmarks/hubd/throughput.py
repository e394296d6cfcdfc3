"""Submits a second, and whole task cycles a second: submit, claim, start, result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from benchmarks.hubd.wire import Line, hub, node, operator, spread
from tests.contract.hubd.harness import HubProcess

ROUNDS = 5
SUBMITS = 400
CYCLES = 300
AGENTS = {"Archon": 5, "Rex": 2, "Crucible": 3}


async def measure() -> AsyncIterator[str]:
    for clients in (1, 16):
        async with hub() as process:
            rates = [await _rate(process, clients, SUBMITS, _submit) for _ in range(ROUNDS)]
            yield f"submits            {clients:2} clients  {spread(rates, '/s')}"
    async with hub() as process:
        rates = [await _drain(process) for _ in range(ROUNDS)]
        yield f"full cycles        {len(AGENTS)} agents   {spread(rates, '/s')}"


async def _submit(line: Line) -> None:
    await line.post("/v1/tasks", {"prompt": "measure"})


async def _rate(
    process: HubProcess, clients: int, calls: int, call: Callable[[Line], Awaitable[None]]
) -> float:
    lines = [await operator(process) for _ in range(clients)]

    async def work(line: Line) -> None:
        for _ in range(calls // clients):
            await call(line)

    began = time.perf_counter()
    await asyncio.gather(*map(work, lines))
    rate = calls // clients * clients / (time.perf_counter() - began)
    for line in lines:
        line.close()
    return rate


async def _drain(process: HubProcess) -> float:
    """Submitting and working at the same time, until everything is done."""
    done = asyncio.Event()
    left = CYCLES

    async def run(line: Line, lease: dict[str, int]) -> None:
        nonlocal left
        fence = lease["fence"]
        await line.post(f"/v1/attempts/{fence}/start", {})
        await line.post(f"/v1/attempts/{fence}/result", {"outcome": "ok", "text": "done"})
        left -= 1
        if left <= 0:
            done.set()

    async def agent(name: str, slots: int) -> None:
        claimer = await node(process, name, slots)
        runners = [await node(process, name, slots) for _ in range(slots)]
        while not done.is_set():
            claim = {"free_slots": slots, "wait_s": 0.5}
            leases = (await claimer.post(f"/v1/nodes/{name}/claim", claim))["leases"]
            await asyncio.gather(*map(run, runners, leases))
        for line in (claimer, *runners):
            line.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for name, slots in AGENTS.items():
            group.create_task(agent(name, slots))
        group.create_task(_rate(process, 4, CYCLES, _submit))
        await done.wait()
        elapsed = time.perf_counter() - began
    return CYCLES / elapsed
