"""The simulated fleet as a hub: `mesh-tui --demo` follows and orders it as it would a real one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from common.clock import Clock
from common.link import Followed, LinkUp
from common.wire.admin import CostRow, Costs, Hold, SetHold
from common.wire.approvals import AnswerApproval, Approval
from common.wire.messages import MessageList, SendMessage
from common.wire.nodes import Breaker, DrainNode, Node, OutputLine
from common.wire.tasks import (
    TERMINAL_STATES,
    NodeVerdict,
    SubmitTask,
    Task,
    TaskDetail,
    TaskState,
    Why,
)
from tui.demo.fleet import Fleet
from tui.demo.output import output_of
from tui.demo.simulation import Simulation

STEP_S = 1.0
ANSWER_S = 0.15


class DemoHub:
    """`alive` False freezes the fleet as it is: for pictures and tests."""

    where = "the demo fleet"

    def __init__(self, clock: Clock, rng: random.Random, *, alive: bool = True) -> None:
        self.simulation = Simulation(clock, rng)
        self.calls = DemoCalls(self.simulation, alive)
        self._alive = alive

    async def follow(self) -> AsyncGenerator[Followed]:
        simulation = self.simulation
        yield simulation.snapshot()
        simulation.outbox.clear()
        yield LinkUp()
        if not self._alive:
            await asyncio.Event().wait()  # until the follower is cancelled
        while True:
            await asyncio.sleep(STEP_S)
            simulation.step()
            while simulation.outbox:
                yield simulation.outbox.pop(0)

    async def output(self, task_id: int) -> AsyncGenerator[OutputLine]:
        task = self.simulation.task(task_id)
        began = task.started_at or task.created_at
        for line in output_of(task, began):
            yield line
        if task.state not in TERMINAL_STATES:
            await asyncio.Event().wait()  # the stream of a running task stays open

    async def close(self) -> None:
        pass


class DemoCalls:
    """`tui.hub.Calls`; each order takes a moment, as over a network."""

    def __init__(self, simulation: Simulation, alive: bool) -> None:
        self._simulation = simulation
        self._pause_s = ANSWER_S if alive else 0.0

    async def submit(self, task: SubmitTask, *, idempotency_key: str) -> Task:
        await self._moment()
        return self._simulation.submit(task)

    async def task(self, task_id: int) -> TaskDetail:
        await self._moment()
        fleet, task = self._simulation.fleet, self._simulation.task(task_id)
        attempts = fleet.attempts.get(task_id, [])
        return TaskDetail(
            **{name: getattr(task, name) for name in Task.__struct_fields__},
            result=fleet.results.get(task_id),
            attempts=attempts,
            usage=[usage for attempt in attempts for usage in attempt.usage],
            approvals=[a for a in fleet.approvals.values() if a.task_id == task_id],
        )

    async def cancel(self, task_id: int) -> Task:
        await self._moment()
        return self._simulation.cancel(task_id)

    async def retry(self, task_id: int, *, idempotency_key: str, elsewhere: bool = False) -> Task:
        await self._moment()
        return self._simulation.retry(task_id, elsewhere=elsewhere)

    async def why(self, task_id: int) -> Why:
        await self._moment()
        task = self._simulation.task(task_id)
        verdicts = [
            (node.name, *self._simulation.verdict(node, task))
            for node in self._simulation.fleet.nodes.values()
        ]
        best = next((name for name, eligible, _ in verdicts if eligible), None)
        waiting = task.state is TaskState.QUEUED
        reason = task.wait_reason or (
            "waits for a free slot" if waiting else f"it is {task.state.replace('_', ' ')}"
        )
        return Why(
            task_id=task_id, state=task.state, reason=reason, would_run_on=best,
            place=self._place(task) if waiting else None,
            nodes=[NodeVerdict(node=n, eligible=e, reason=r) for n, e, r in verdicts],
        )  # fmt: skip

    def _place(self, task: Task) -> int:
        tasks = self._simulation.fleet.tasks.values()
        return sum(t.state is TaskState.QUEUED and t.id <= task.id for t in tasks)

    async def revoke(self, task_id: int) -> Task:
        await self._moment()
        return self._simulation.revoke(task_id)

    async def answer(self, code: str, answer: AnswerApproval) -> Approval:
        await self._moment()
        return self._simulation.answer(code, answer)

    async def drain(self, name: str, drain: DrainNode) -> Node:
        await self._moment()
        return self._simulation.change_node(
            name, "node.drained", draining=True, drain_note=drain.note
        )

    async def resume(self, name: str) -> Node:
        await self._moment()
        return self._simulation.change_node(name, "node.resumed", draining=False, drain_note=None)

    async def reset_breaker(self, name: str) -> Node:
        await self._moment()
        return self._simulation.change_node(name, "node.breaker_closed", breaker=Breaker())

    async def hold(self, hold: SetHold) -> Hold:
        await self._moment()
        return self._simulation.set_hold(hold.on, hold.reason)

    async def costs(self, by: str, *, days: int) -> Costs:
        await self._moment()
        since = self._simulation.now() - timedelta(days=days - 1)
        rows = _cost_rows(self._simulation.fleet, by, since)
        return Costs(by=by, rows=rows, total=_total(rows))

    async def say(self, message: SendMessage, *, idempotency_key: str) -> MessageList:
        await self._moment()
        said = self._simulation.say_in(message.text)
        if message.text.strip().lower() == "stop all":
            for task in list(self._simulation.fleet.tasks.values()):
                if task.state not in TERMINAL_STATES:
                    self._simulation.cancel(task.id)
            reply = self._simulation.say_out("Everything is being stopped.")
        else:
            task = self._simulation.submit(SubmitTask(prompt=message.text), source="imessage")
            reply = self._simulation.say_out(f"#{task.id} {task.state}.", task.id)
        return MessageList(messages=[said, reply])

    async def resume_account(self, name: str) -> None:
        await self._moment()
        self._simulation.resume_account(name)

    async def _moment(self) -> None:
        await asyncio.sleep(self._pause_s)


def _cost_rows(fleet: Fleet, by: str, since: datetime) -> list[CostRow]:
    if by == "day":
        today = CostRow(key=fleet.spend.day, attempts=14, cost_usd=fleet.spend.cost_usd)
        first = since.date().isoformat()
        return [row for row in reversed([today, *fleet.days]) if row.key >= first]
    rows: dict[str, CostRow] = {}
    for task in fleet.tasks.values():
        if task.attempt and task.updated_at.date() >= since.date():
            key = {
                "task": str(task.id), "node": task.node, "specialist": task.specialist,
                "model": "claude-sonnet-4-6" if task.id % 3 else "claude-haiku-4-5",
                "conversation": task.conversation,
            }[by] or ""  # fmt: skip
            rows[key] = _plus(rows.get(key, CostRow(key=key)), task)
    return sorted(rows.values(), key=lambda row: -(row.cost_usd or 0.0))


def _plus(row: CostRow, task: Task) -> CostRow:
    return CostRow(
        key=row.key, attempts=row.attempts + task.attempt,
        cost_usd=(row.cost_usd or 0) + (task.cost_usd or 0),
        estimate_usd=(row.estimate_usd or 0) + (task.cost_usd or 0),
        input_tokens=row.input_tokens + task.input_tokens,
        output_tokens=row.output_tokens + task.output_tokens,
        cache_read_tokens=row.cache_read_tokens + task.cache_read_tokens,
        cache_write_tokens=row.cache_write_tokens + task.cache_write_tokens,
    )  # fmt: skip


def _total(rows: list[CostRow]) -> CostRow:
    return CostRow(
        key="total", attempts=sum(r.attempts for r in rows),
        cost_usd=sum(r.cost_usd or 0 for r in rows),
        input_tokens=sum(r.input_tokens for r in rows),
        output_tokens=sum(r.output_tokens for r in rows),
        cache_read_tokens=sum(r.cache_read_tokens for r in rows),
        cache_write_tokens=sum(r.cache_write_tokens for r in rows),
    )  # fmt: skip
