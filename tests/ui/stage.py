"""A hub that says what a test tells it to, and the app on it with a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from common.clock import to_epoch
from common.errors import MeshError
from common.link import Followed, LinkUp
from common.wire.admin import CostRow, Costs, Hold, SetHold, Spend
from common.wire.approvals import AnswerApproval, Approval, ApprovalKind, ApprovalState, Risk
from common.wire.events import Entity, Event, HubInfo, Snapshot
from common.wire.messages import Bridge, Message, MessageList, SendMessage
from common.wire.nodes import Account, DrainNode, Node, OutputLine
from common.wire.tasks import SubmitTask, Task, TaskDetail, TaskState, Why
from tui.app import MeshApp
from tui.state.typing import Pace

NOW = datetime(2026, 5, 4, 14, 5, 30, tzinfo=UTC)


class StillClock:
    """Stands still until moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = to_epoch(at)

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def task(number: int, state: TaskState = TaskState.QUEUED, **more: Any) -> Task:
    fields = {
        "title": f"task {number}", "prompt": f"do {number}", "created_at": ago(minutes=9),
        "updated_at": ago(minutes=1),
    }  # fmt: skip
    return Task(id=number, state=state, **(fields | more))


def node(name: str, slots: int = 3, **more: Any) -> Node:
    fields: dict[str, Any] = {
        "registered_at": ago(days=1), "last_heartbeat_at": ago(seconds=4), "account": "personal",
    }  # fmt: skip
    return Node(name=name, slots=slots, **(fields | more))


def approval(number: int, code: str, task_id: int | None, **more: Any) -> Approval:
    fields: dict[str, Any] = {
        "kind": ApprovalKind.TOOL, "state": ApprovalState.PENDING,
        "summary": f"Bash: step {number}",
        "detail": f"./step {number}", "asked_at": ago(minutes=2), "digest": f"digest-{number}",
    }  # fmt: skip
    return Approval(id=number, code=code, task_id=task_id, **(fields | more))


def snapshot(
    *, tasks: tuple[Task, ...] = (), nodes: tuple[Node, ...] = (),
    approvals: tuple[Approval, ...] = (), accounts: tuple[Account, ...] = (),
    messages: tuple[Message, ...] = (), **more: Any,
) -> Snapshot:  # fmt: skip
    fields: dict[str, Any] = {
        "last_event_id": "1-100", "at": NOW, "hold": Hold(), "bridge": Bridge(state="ok"),
        "spend": Spend(day="2026-05-04", cost_usd=3.41, cap_usd=20.0),
        "hub": HubInfo(version="1", started_at=ago(days=1), epoch=1, stale_after_s=25.0),
    }  # fmt: skip
    return Snapshot(
        tasks=list(tasks), nodes=list(nodes), approvals=list(approvals), accounts=list(accounts),
        messages=list(messages), **(fields | more),
    )  # fmt: skip


def busy() -> Snapshot:
    """Three nodes, every state a task can have, a plain and a risky question."""
    states = list(TaskState)
    tasks = tuple(
        task(
            40 + i, state, title=f"{state.replace('_', ' ')} thing",
            node="Archon" if i % 2 else "Rex", cost_usd=i * 0.21, specialist="researcher",
            started_at=ago(minutes=7), finished_at=ago(minutes=2) if i > 6 else None,
            approval_code="K7" if state is TaskState.WAITING_APPROVAL else None,
            wait_reason="no free slot" if state is TaskState.QUEUED else None,
            error="exit 1" if state is TaskState.FAILED else None, input_tokens=1200 * i,
        )
        for i, state in enumerate(states)
    )  # fmt: skip
    return snapshot(
        tasks=tasks,
        nodes=(node("Archon", 5), node("Crucible", 3, draining=True), node("Rex", 2)),
        approvals=(
            approval(1, "K7", 41, summary="Bash: rm -rf build", detail="rm -rf build"),
            approval(2, "M3", 44, risk=Risk.HIGH, kind=ApprovalKind.GATE, summary="Deploy it"),
        ),
        accounts=(Account(name="personal"),),
    )


def event(seq: int, entity: Entity, key: str, record: Any, type_: str | None = None) -> Event:
    return Event(
        seq=seq, id=f"1-{seq}", at=NOW, type=type_ or f"{entity}.changed", entity=entity, key=key,
        record=msgspec.Raw(msgspec.json.encode(record)),
    )  # fmt: skip


class ScriptedHub:
    """Follows `items` given at start and `put` later; records every call in `asked`."""

    where = "http://127.0.0.1:8420"

    def __init__(self, *items: Followed | MeshError) -> None:
        self._items = list(items)
        self._more: asyncio.Queue[Followed | MeshError] = asyncio.Queue()
        self.calls = ScriptedCalls()
        self.lines: list[OutputLine] = []
        self.closed = False

    def put(self, *items: Followed | MeshError) -> None:
        for item in items:
            self._more.put_nowait(item)

    @property
    def empty(self) -> bool:
        """Whether everything that was put has been taken."""
        return self._more.empty()

    async def follow(self) -> AsyncGenerator[Followed]:
        items, self._items = self._items, []
        for item in items:
            if isinstance(item, MeshError):
                raise item
            yield item
        while True:
            later = await self._more.get()
            if isinstance(later, MeshError):
                raise later
            yield later

    async def output(self, task_id: int) -> AsyncGenerator[OutputLine]:
        for line in self.lines:
            yield line
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


class ScriptedCalls:
    """Answers what `answers` says under the call's name, or raises it; waits while `gate` is
    closed."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def _ask(self, name: str, *arguments: Any, usual: Any = None) -> Any:
        self.asked.append((name, *arguments))
        await self.gate.wait()
        answer = self.answers.get(name, usual)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def submit(self, body: SubmitTask, *, idempotency_key: str) -> Task:
        usual = task(99, title=body.prompt)
        return await self._ask("submit", body, idempotency_key, usual=usual)  # type: ignore[no-any-return]

    async def task(self, task_id: int) -> TaskDetail:
        plain = {"title": "t", "prompt": "p", "created_at": ago(minutes=9), "updated_at": NOW}
        usual = TaskDetail(id=task_id, state=TaskState.RUNNING, **plain)  # type: ignore[arg-type]
        return await self._ask("task", task_id, usual=usual)  # type: ignore[no-any-return]

    async def cancel(self, task_id: int) -> Task:
        usual = task(task_id, TaskState.CANCELLED)
        return await self._ask("cancel", task_id, usual=usual)  # type: ignore[no-any-return]

    async def retry(self, task_id: int, *, idempotency_key: str) -> Task:
        usual = task(task_id + 100)
        return await self._ask("retry", task_id, idempotency_key, usual=usual)  # type: ignore[no-any-return]

    async def why(self, task_id: int) -> Why:
        usual = Why(task_id=task_id, state=TaskState.QUEUED, reason="no free slot", place=2)
        return await self._ask("why", task_id, usual=usual)  # type: ignore[no-any-return]

    async def answer(self, code: str, answer: AnswerApproval) -> Approval:
        usual = approval(1, code, 41, state=ApprovalState(f"{_PAST[answer.decision]}"))
        return await self._ask("answer", code, answer, usual=usual)  # type: ignore[no-any-return]

    async def drain(self, name: str, drain: DrainNode) -> Node:
        return await self._ask("drain", name, drain, usual=node(name))  # type: ignore[no-any-return]

    async def resume(self, name: str) -> Node:
        return await self._ask("resume", name, usual=node(name))  # type: ignore[no-any-return]

    async def reset_breaker(self, name: str) -> Node:
        return await self._ask("reset_breaker", name, usual=node(name))  # type: ignore[no-any-return]

    async def hold(self, hold: SetHold) -> Hold:
        return await self._ask("hold", hold, usual=Hold(on=hold.on))  # type: ignore[no-any-return]

    async def costs(self, by: str, *, days: int) -> Costs:
        usual = Costs(by=by, rows=[], total=CostRow(key="total"))
        return await self._ask("costs", by, days, usual=usual)  # type: ignore[no-any-return]

    async def say(self, message: SendMessage, *, idempotency_key: str) -> MessageList:
        usual = MessageList(messages=[])
        return await self._ask("say", message, idempotency_key, usual=usual)  # type: ignore[no-any-return]

    async def resume_account(self, name: str) -> None:
        await self._ask("resume_account", name)


_PAST = {"approve": "approved", "deny": "denied"}


def stage(
    hub: Any = None, *, theme: str = "mesh-dark", keymap: Mapping[str, str] | None = None,
    clock: StillClock | None = None, pace: Pace | None = None,
) -> MeshApp:  # fmt: skip
    """The app on a scripted hub, showing `busy()` when nothing else is given."""
    numbers = iter(range(1, 1000))
    app = MeshApp(
        hub if hub is not None else ScriptedHub(busy(), LinkUp()),
        clock=clock or StillClock(), zone=UTC, theme=theme, keymap=keymap,
        new_key=lambda: f"key-{next(numbers)}", flush_s=0.02,
        pace=pace,
    )  # fmt: skip
    app.animation_level = "none"
    return app
