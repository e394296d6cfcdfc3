"""How the simulated fleet goes on: work starts, costs, asks, ends; and what its owner orders."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import msgspec

from common.clock import Clock, to_datetime
from common.wire.admin import Hold
from common.wire.approvals import AnswerApproval, Approval, ApprovalState, Decision
from common.wire.events import Entity, Event, Pulse, Snapshot
from common.wire.messages import Message, MessageState
from common.wire.nodes import Account, Breaker, BreakerState, Node
from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, SubmitTask, Task, TaskState
from tui.demo.fleet import CHAT, OWNER, Fleet, add_task, begin, changed
from tui.errors import TuiError

PROMPTS = (
    "Sort the photos of the trip by place", "Check the backups of last night",
    "Explain the failing test in parser_test.py", "Update the dependencies of the shop",
    "Prepare the agenda for Thursday", "Measure cold start on an old phone",
    "Write a fixture for the payment gateway", "Read the new tax rules and summarise them",
)  # fmt: skip
BEAT_EVERY = 10


class Simulation:
    """`step` is one second of the fleet's life; every change leaves an event in `outbox`."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self.rng = rng
        self.fleet: Fleet = begin(self.now())
        self.outbox: list[Event | Pulse] = []
        self._seq = 7000
        self._steps = 0

    def now(self) -> datetime:
        return to_datetime(self.clock.now())

    def snapshot(self) -> Snapshot:
        fleet = self.fleet
        return Snapshot(
            last_event_id=f"1-{self._seq}", at=self.now(), hub=fleet.hub, hold=fleet.hold,
            spend=fleet.spend, bridge=fleet.bridge, tasks=list(fleet.tasks.values()),
            nodes=list(fleet.nodes.values()), approvals=list(fleet.approvals.values()),
            accounts=list(fleet.accounts.values()), messages=list(fleet.messages.values()),
        )  # fmt: skip

    # -- a second ------------------------------------------------------------------------

    def step(self) -> None:
        self._steps += 1
        for place, name in enumerate(self.fleet.nodes):
            if (self._steps + 3 * place) % BEAT_EVERY == 0:
                self._beat(name)
        self._breakers()
        self._accounts()
        self._work()
        self._start()
        if self._steps % 23 == 0:
            self.submit(SubmitTask(prompt=self.rng.choice(PROMPTS)))

    def _beat(self, name: str) -> None:
        now = self.now()
        self.fleet.nodes[name] = changed(self.fleet.nodes[name], last_heartbeat_at=now)
        self.outbox.append(Pulse(node=name, at=now))

    def _breakers(self) -> None:
        for node in list(self.fleet.nodes.values()):
            breaker = node.breaker
            if breaker.state is BreakerState.OPEN and breaker.until and breaker.until < self.now():
                half = changed(breaker, state=BreakerState.HALF_OPEN, changed_at=self.now())
                self._put_node(changed(node, breaker=half), "node.breaker_half_open")
            elif breaker.state is BreakerState.HALF_OPEN and self._steps % 17 == 0:
                self._put_node(changed(node, breaker=Breaker()), "node.breaker_closed")

    def _accounts(self) -> None:
        for account in self.fleet.accounts.values():
            if account.paused_until and account.paused_until < self.now():
                self.resume_account(account.name)
                return

    def _work(self) -> None:
        for task in list(self.fleet.tasks.values()):
            if task.state is TaskState.CANCELLING:
                self._finish(task, TaskState.CANCELLED, outcome="killed")
            elif task.state is TaskState.LEASED:
                self.put_task(
                    changed(task, state=TaskState.RUNNING, started_at=self.now()), "task.started"
                )
            elif task.state is TaskState.RUNNING and self.rng.random() < 0.25:
                self._spend(task)

    def _spend(self, task: Task) -> None:
        cost = round(self.rng.uniform(0.005, 0.03), 4)
        task = changed(
            task, cost_usd=(task.cost_usd or 0.0) + cost, input_tokens=task.input_tokens + 180,
            output_tokens=task.output_tokens + 240, updated_at=self.now(),
            cache_read_tokens=task.cache_read_tokens + 11_000,
        )  # fmt: skip
        spend = changed(
            self.fleet.spend, cost_usd=self.fleet.spend.cost_usd + cost,
            output_tokens=self.fleet.spend.output_tokens + 240,
        )  # fmt: skip
        self.fleet.spend = spend
        if self.rng.random() < 0.05:
            failed = self.rng.random() < 0.15
            state = TaskState.FAILED if failed else TaskState.SUCCEEDED
            error = "two of 58 tests still fail" if failed else None
            self._finish(task, state, outcome="task_error" if failed else "ok", error=error,
                         summary=None if failed else "Done. 58 of 58 tests pass.")  # fmt: skip
        else:
            self.put_task(task, "task.progressed")
        self._emit(Entity.SPEND, spend.day, spend, "spend.changed")

    def _finish(self, task: Task, state: TaskState, **more: Any) -> None:
        done = changed(
            task, state=state, fence=None, lease_until=None, finished_at=self.now(),
            updated_at=self.now(), **more,
        )  # fmt: skip
        self.put_task(done, f"task.{state}")
        add_task(self.fleet, done)
        if done.source == "imessage":
            self.say_out(f"#{done.id} {state} · {done.title}", done.id)

    def _start(self) -> None:
        if self.fleet.hold.on:
            return
        waiting = [t for t in self.fleet.tasks.values() if t.state is TaskState.QUEUED]
        for task in waiting:
            node = self._free_node(task)
            if node is not None:
                self.fleet.fence += 1
                self.put_task(
                    changed(
                        task, state=TaskState.LEASED, node=node.name, fence=self.fleet.fence,
                        attempt=task.attempt + 1, wait_reason=None, updated_at=self.now(),
                        lease_until=self.now() + timedelta(seconds=60),
                    ),
                    "task.leased",
                )  # fmt: skip
                return

    def busy(self, name: str) -> int:
        return sum(t.node == name and t.state in LIVE_STATES for t in self.fleet.tasks.values())

    def _free_node(self, task: Task) -> Node | None:
        free = [
            (node.slots - self.busy(node.name), node)
            for node in self.fleet.nodes.values()
            if self.verdict(node, task)[0]
        ]
        return max(free, key=lambda pair: pair[0])[1] if free else None

    def verdict(self, node: Node, task: Task) -> tuple[bool, str]:
        """Whether the node would take the task, and why or why not."""
        account = self.fleet.accounts.get(node.account or "")
        if task.pinned_node and task.pinned_node != node.name:
            return False, f"the task is pinned to {task.pinned_node}"
        if node.draining:
            return False, "is draining"
        if node.breaker.state is not BreakerState.CLOSED:
            return False, f"its breaker is {node.breaker.state.replace('_', '-')}"
        if account and account.state != "ok":
            return False, f"account {account.name} is {account.state}"
        free = node.slots - self.busy(node.name)
        return (True, f"{free} of {node.slots} slots free") if free > 0 else (False, "is full")

    # -- what its owner orders --------------------------------------------------------------

    def submit(self, body: SubmitTask, **more: Any) -> Task:
        number = max(self.fleet.tasks) + 1
        title = body.title or body.prompt.partition("\n")[0][:80]
        gated = bool(body.approval)
        task = Task(
            id=number, title=title, prompt=body.prompt, created_at=self.now(),
            state=TaskState.WAITING_APPROVAL if gated else TaskState.QUEUED,
            updated_at=self.now(), specialist=body.specialist, pinned_node=body.node,
            node=body.node, priority=body.priority, max_cost_usd=body.max_cost_usd,
            project=body.project, branch=body.branch, continue_of=body.continue_of,
            approval_code=self._ask(number, title, body.prompt) if gated else None,
            submitted_by="you", **more,
        )  # fmt: skip
        self.put_task(task, "task.submitted")
        return task

    def _ask(self, task_id: int, title: str, detail: str) -> str:
        number = max(self.fleet.approvals) + 1
        code = f"{self.rng.choice('ACEFHKMPRTWX')}{self.rng.randint(2, 9)}"
        approval = Approval(
            id=number, code=code, kind="gate", state=ApprovalState.PENDING, task_id=task_id,  # type: ignore[arg-type]
            summary=title, detail=detail, asked_at=self.now(), digest=f"{number:064x}",
        )  # fmt: skip
        self._put_approval(approval, "approval.asked")
        return code

    def answer(self, code: str, body: AnswerApproval) -> Approval:
        approval = next((a for a in self.fleet.approvals.values() if a.code == code), None)
        if approval is None or approval.state is not ApprovalState.PENDING:
            raise TuiError(f"{code} is answered already")
        yes = body.decision is Decision.APPROVE
        answered: Approval = changed(
            approval, state=ApprovalState.APPROVED if yes else ApprovalState.DENIED,
            answered_at=self.now(), answered_by="you", answered_via="tui", note=body.note,
            answer=body.answer,
        )  # fmt: skip
        self._put_approval(answered, f"approval.{answered.state}")
        task = self.fleet.tasks.get(approval.task_id or 0)
        if task is not None and yes:
            self.put_task(
                changed(task, state=TaskState.QUEUED, approval_code=None, updated_at=self.now()),
                "task.approved",
            )
        elif task is not None:
            self._finish(changed(task, approval_code=None), TaskState.DENIED)
        return answered

    def revoke(self, task_id: int) -> Task:
        task = self.task(task_id)
        if not task.grants:
            raise TuiError(f"#{task_id} has no standing yes to take back")
        bare: Task = changed(task, grants=[], updated_at=self.now())
        self.put_task(bare, "task.revoked")
        return bare

    def cancel(self, task_id: int) -> Task:
        task = self.task(task_id)
        if task.state in TERMINAL_STATES:
            raise TuiError(f"#{task_id} is {task.state} already")
        if task.state in LIVE_STATES:
            self.put_task(changed(task, state=TaskState.CANCELLING), "task.cancelling")
        else:
            self._finish(task, TaskState.CANCELLED)
        return self.task(task_id)

    def retry(self, task_id: int, *, elsewhere: bool = False) -> Task:
        old = self.task(task_id)
        if elsewhere and old.state not in TERMINAL_STATES:
            fields = {"state": TaskState.QUEUED, "node": None, "fence": None, "lease_until": None}
            self.put_task(changed(old, **fields, avoid_node=old.node), "task.moved")
            return self.task(task_id)
        body = SubmitTask(prompt=old.prompt, title=old.title, specialist=old.specialist)
        return self.submit(body, retry_of=task_id)

    def task(self, task_id: int) -> Task:
        if task_id not in self.fleet.tasks:
            raise TuiError(f"there is no task #{task_id}")
        return self.fleet.tasks[task_id]

    def change_node(self, name: str, what: str, **more: Any) -> Node:
        node: Node = changed(self.fleet.nodes[name], **more)
        self._put_node(node, what)
        return node

    def set_hold(self, on: bool, reason: str | None) -> Hold:
        self.fleet.hold = Hold(on=on, reason=reason, by="you", at=self.now())
        self._emit(Entity.HOLD, "hold", self.fleet.hold, f"hold.{'on' if on else 'off'}")
        return self.fleet.hold

    def resume_account(self, name: str) -> None:
        account = Account(name=name, changed_at=self.now())
        self.fleet.accounts[name] = account
        self._emit(Entity.ACCOUNT, name, account, "account.resumed")

    def say_in(self, text: str) -> Message:
        return self._message("in", text, None, MessageState.RECEIVED)

    def say_out(self, text: str, task_id: int | None = None) -> Message:
        return self._message("out", text, task_id, MessageState.SENT)

    # -- putting --------------------------------------------------------------------------

    def _message(self, way: str, text: str, task_id: int | None, state: MessageState) -> Message:
        number = len(self.fleet.messages) + 1
        message = Message(
            id=f"{way}-{number}", direction=way, chat=CHAT, text=text, at=self.now(), state=state,
            sender=OWNER if way == "in" else None, task_id=task_id,
        )  # fmt: skip
        self.fleet.messages[message.id] = message
        self._emit(Entity.MESSAGE, message.id, message, f"message.{state}")
        return message

    def put_task(self, task: Task, what: str) -> None:
        self.fleet.tasks[task.id] = task
        self._emit(Entity.TASK, str(task.id), task, what)

    def _put_node(self, node: Node, what: str) -> None:
        self.fleet.nodes[node.name] = node
        self._emit(Entity.NODE, node.name, node, what)

    def _put_approval(self, approval: Approval, what: str) -> None:
        self.fleet.approvals[approval.id] = approval
        self._emit(Entity.APPROVAL, str(approval.id), approval, what)

    def _emit(self, entity: Entity, key: str, record: msgspec.Struct, what: str) -> None:
        self._seq += 1
        self.outbox.append(
            Event(
                seq=self._seq, id=f"1-{self._seq}", at=self.now(), type=what, entity=entity,
                key=key, record=msgspec.Raw(msgspec.json.encode(record)),
            )
        )  # fmt: skip
