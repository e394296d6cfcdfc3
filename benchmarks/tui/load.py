"""The program under test: `python -m benchmarks.tui.load` shows a large fleet that never rests.

50 nodes, 5,000 tasks and 50 events a second, made in the same process; making them is part of
the processor time that is measured.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import msgspec

from common.clock import SystemClock, to_datetime
from common.link import Followed, LinkUp
from common.wire.admin import Hold, Spend
from common.wire.events import Entity, Event, HubInfo, Pulse, Snapshot
from common.wire.messages import Bridge
from common.wire.nodes import Node, OutputLine
from common.wire.tasks import Task, TaskState
from tui.app import MeshApp
from tui.launch import collect_again

NODES = 50
TASKS = 5000
EVENTS_PER_S = 50
PULSES_PER_S = 5
LIVE = 150


class LoadHub:
    """`tui.hub.Hub`: only followed, never asked."""

    where = "the load"
    calls: Any = None

    def __init__(self) -> None:
        self._rng = random.Random(7)
        self._now = to_datetime(time.time())
        self._tasks = [self._task(number) for number in range(1, TASKS + 1)]

    def _task(self, number: int) -> Task:
        live = number > TASKS - LIVE
        started = self._now - timedelta(seconds=self._rng.randint(5, 3600))
        return Task(
            id=number, title=f"Task {number} of the load, with a title of the usual length",
            prompt="…", state=TaskState.RUNNING if live else TaskState.SUCCEEDED,
            node=f"node-{number % NODES:02}", specialist="researcher", created_at=started,
            updated_at=started, started_at=started, finished_at=None if live else self._now,
            cost_usd=self._rng.random(), input_tokens=self._rng.randint(100, 90_000),
        )  # fmt: skip

    async def follow(self) -> AsyncGenerator[Followed]:
        yield self._snapshot()
        yield LinkUp()
        began = time.monotonic()
        for n in itertools.count(1):
            yield self._event(n)
            if n % (EVENTS_PER_S // PULSES_PER_S) == 0:
                node = f"node-{n // 10 % NODES:02}"
                yield Pulse(node=node, at=to_datetime(time.time()))
            await asyncio.sleep(max(0.0, began + n / EVENTS_PER_S - time.monotonic()))

    def _snapshot(self) -> Snapshot:
        nodes = [
            Node(name=f"node-{n:02}", slots=5, account="a", registered_at=self._now,
                 last_heartbeat_at=self._now)
            for n in range(NODES)
        ]  # fmt: skip
        return Snapshot(
            last_event_id="1-0", at=to_datetime(time.time()), hold=Hold(), bridge=Bridge(),
            hub=HubInfo(version="x", started_at=self._now, epoch=1, stale_after_s=1e9),
            spend=Spend(day="d", cost_usd=1.0, cap_usd=99.0), tasks=self._tasks, nodes=nodes,
        )  # fmt: skip

    def _event(self, n: int) -> Event:
        place = TASKS - 1 - self._rng.randrange(LIVE)
        old = self._tasks[place]
        states = (TaskState.RUNNING, TaskState.RUNNING, TaskState.LEASED, TaskState.QUEUED)
        task = msgspec.structs.replace(
            old, state=self._rng.choice(states), cost_usd=old.cost_usd + 0.01,
            updated_at=to_datetime(time.time()),
        )  # fmt: skip
        self._tasks[place] = task
        record = msgspec.Raw(msgspec.json.encode(task))
        return Event(
            seq=n, id=f"1-{n}", at=task.updated_at, type="task.changed", entity=Entity.TASK,
            key=str(task.id), record=record,
        )  # fmt: skip

    async def output(self, task_id: int) -> AsyncGenerator[OutputLine]:
        await asyncio.Event().wait()
        yield OutputLine(fence=task_id, n=0, kind="text")  # type: ignore[arg-type]

    async def close(self) -> None:
        pass


def main() -> None:
    gc.disable()  # as `tui.__main__` does
    app = MeshApp(
        LoadHub(), clock=SystemClock(), new_key=lambda: "key", own_signals=True,
        on_shown=collect_again,
    )  # fmt: skip
    app.run()


if __name__ == "__main__":
    main()
