"""A hub under random use: hypothesis drives the real store and services with a clock of its own.

Rules are small acts of people, nodes, the bridge and time, and some directed ones for states that
chance seldom reaches. Every answer is compared with what the state before it allows, and after
every step the `Oracle` checks the invariants.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from common.clock import to_datetime
from common.config.sense import KILL_GRACE_S
from common.wire.admin import SetHold
from common.wire.approvals import AnswerApproval, Approval, ApprovalState, Decision, Reach, Risk
from common.wire.messages import ClaimOutbox, OutboxOutcome
from common.wire.nodes import AccountState, Ask, BreakerState, DrainNode, Lease, UsageSoFar
from common.wire.tasks import LIVE_STATES, OnLost, Outcome, Priority, TaskState
from common.wire.usage import Usage
from hubd.domain.records import AccountRecord, TaskRecord
from hubd.errors import (
    AlreadyAnsweredError,
    ConflictError,
    FencedError,
    ForbiddenError,
    HubError,
    IdempotencyMismatchError,
    InvalidError,
)
from hubd.store import nodes as node_store
from tests.unit.hubd.hub import (
    BRIDGE,
    OPERATOR,
    FakeClock,
    Hub,
    configured,
    node_actor,
    open_hub,
)
from tests.unit.hubd.oracle import Oracle, Seen

T = TypeVar("T")

NODES = ("archon", "rex")
SLOTS = {"archon": 3, "rex": 1}
ACCOUNT = "main"
CAP_USD = 5.0
MACHINE_CONFIG = configured(
    hub={"max_attempts": 2},
    breaker={"threshold": 3, "cooldown_s": 60.0},
    approval={},
    budget={"per_task_usd": CAP_USD},
)
OVER_BUDGET = "over budget"
LIMITS = MACHINE_CONFIG.hub
SMALL_CAP_USD = 1.0
REPORTED = (
    Outcome.OK,
    Outcome.TASK_ERROR,
    Outcome.PERMANENT,
    Outcome.PROVIDER_LIMIT,
    Outcome.PROVIDER_BUSY,
    Outcome.NEEDS_LOGIN,
    Outcome.NODE_FAULT,
    Outcome.INTERNAL,
    Outcome.INTERRUPTED,
    Outcome.KILLED,
    Outcome.LOST,
)

STREAKS = (Outcome.NODE_FAULT, Outcome.TASK_ERROR, Outcome.PROVIDER_LIMIT)

node_names = st.sampled_from(NODES)
outcomes = st.sampled_from(REPORTED)
picks = st.integers(min_value=0, max_value=10_000)


class Stage:
    """Folders in memory where the machine has them, and a database migrated once."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="mesh-", dir=shm if shm.is_dir() else None))
        self.template = self.folder / "template.db"
        asyncio.run(self._migrate())

    async def _migrate(self) -> None:
        async with open_hub(self.template):
            pass

    def fresh(self, name: str) -> Path:
        path = self.folder / name / "hub.db"
        path.parent.mkdir()
        copy_database(self.template, path)
        return path

    def clear(self) -> None:
        shutil.rmtree(self.folder)


def copy_database(source: Path, target: Path) -> None:
    """The file and its marks, while nobody has it open."""
    shutil.copyfile(source, target)
    shutil.copyfile(f"{source}.epoch", f"{target}.epoch")


class HubMachine(RuleBasedStateMachine):
    """`stage` is set by whoever runs it."""

    stage: Stage
    count = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).count += 1
        self.path = self.stage.fresh(f"run-{type(self).count}")
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.leases: dict[int, tuple[str, int]] = {}
        self.spools: list[tuple[int, str, str, float]] = []
        self.keys = 0
        self.retry_keys: set[str] = set()
        self.texts = 0
        self.asks = 0
        self.asked: dict[int, list[str]] = {}
        self.claimed: dict[int, str] = {}
        self.resumes: dict[int, str] = {}
        self.spent: dict[str, int] = {}
        self.starts = dict.fromkeys(NODES, 1)
        self.alive: dict[int, float] = {}
        self._open()
        self.oracle = Oracle(self.path, self.hub.database.epoch)

    # -- plumbing --------------------------------------------------------------------------------

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def _open(self) -> None:
        async def opened() -> Hub:
            self.stack = AsyncExitStack()
            return await self.stack.enter_async_context(
                open_hub(self.path, config=MACHINE_CONFIG, clock=self.clock)
            )

        self.hub = self.do(opened())

    def _close(self) -> None:
        self.do(self.stack.aclose())

    def teardown(self) -> None:
        self.oracle.close()
        self._close()
        self.runner.close()
        shutil.rmtree(self.path.parent)

    def check(self) -> None:
        self.oracle.check()

    def attempted(self, work: Coroutine[Any, Any, T]) -> T | HubError:
        """The answer, or the refusal; anything else is a fault."""
        try:
            return self.do(work)
        except HubError as error:
            refusal = error
        assert refusal.status < 500, f"the hub failed: {refusal.message}"
        return refusal

    def pick(self, items: list[T], number: int) -> T | None:
        return items[number % len(items)] if items else None

    def tasks(self, *states: TaskState) -> list[TaskRecord]:
        return [t for t in self.oracle.seen.tasks.values() if not states or t.state in states]

    def fences(self) -> list[int]:
        return list(self.leases)

    # -- people ----------------------------------------------------------------------------------

    @initialize()
    def register_all(self) -> None:
        for name in NODES:
            self._register(name)
        self.check()

    def _register(self, name: str) -> None:
        self.do(
            self.hub.node(
                name,
                slots=SLOTS[name],
                account=ACCOUNT,
                specialists=["critic"],
                instance_id=self._instance(name),
            )
        )

    @rule(
        gated=st.booleans(),
        pinned=st.none() | node_names,
        priority=st.sampled_from(Priority),
        hold=st.booleans(),
        critic=st.booleans(),
        model=st.sampled_from([None, "opus", "haiku"]),
        capped=st.booleans(),
    )
    def submit(
        self,
        gated: bool,
        pinned: str | None,
        priority: Priority,
        hold: bool,
        critic: bool,
        model: str | None = None,
        capped: bool = False,
    ) -> None:
        self.keys += 1
        key = f"key-{self.keys}"
        task = self.do(
            self.hub.submit(
                f"work {self.keys}",
                key=key,
                node=pinned,
                priority=priority,
                approval=gated or None,
                on_lost=OnLost.HOLD if hold else OnLost.REQUEUE,
                specialist="critic" if critic else None,
                model=model,
                max_cost_usd=SMALL_CAP_USD if capped else None,
            )
        )
        wanted = TaskState.WAITING_APPROVAL if gated else TaskState.QUEUED
        assert task.state is wanted, "I10: a gate was not closed"
        self.oracle.acknowledged[key] = task.id
        self.oracle.expected_tasks.add(task.id)
        self.check()

    @precondition(lambda self: self.oracle.acknowledged)
    @rule(number=picks, other_body=st.booleans())
    def submit_again(self, number: int, other_body: bool) -> None:
        key, task_id = self.pick(sorted(self.oracle.acknowledged.items()), number) or ("", 0)
        before = self.oracle.seen.tasks[task_id]
        fields: dict[str, Any] = {
            "node": before.pinned_node,
            "priority": before.priority,
            "approval": before.approval_code is not None or None,
            "on_lost": before.on_lost,
            "specialist": before.specialist,
            "model": before.model,
            "max_cost_usd": SMALL_CAP_USD if before.max_cost_usd == SMALL_CAP_USD else None,
        }
        prompt = "another body" if other_body else before.prompt
        if key in self.retry_keys or (not other_body and self._asked_in_flight(task_id)):
            return
        answer = self.attempted(self.hub.submit(prompt, key=key, **fields))
        if other_body:
            assert isinstance(answer, IdempotencyMismatchError), "I1: a key was used twice"
        else:
            assert not isinstance(answer, HubError), f"I1: a repeat was refused: {answer}"
            assert answer.id == task_id, "I1: a repeat made another task"
        self.check()

    def _asked_in_flight(self, task_id: int) -> bool:
        return any(
            a.task_id == task_id and a.kind.value != "gate"
            for a in self.oracle.seen.approvals.values()
        )

    @precondition(lambda self: self.oracle.seen.tasks)
    @rule(number=picks)
    def cancel(self, number: int) -> None:
        task = self.pick(self.tasks(), number)
        assert task is not None
        answer = self.attempted(self.hub.services.tasks.cancel(task.id, by=OPERATOR))
        if not isinstance(answer, HubError):
            assert answer.cancel_requested or answer.state is TaskState.CANCELLED
        self.check()

    @precondition(lambda self: self.oracle.seen.tasks)
    @rule(number=picks)
    def retry(self, number: int) -> None:
        task = self.pick(self.tasks(), number)
        assert task is not None
        self.keys += 1
        key = f"key-{self.keys}"
        answer = self.attempted(self.hub.services.tasks.retry(task.id, key=key, by=OPERATOR))
        if isinstance(answer, HubError):
            assert isinstance(answer, ConflictError)
        else:
            self.oracle.acknowledged[key] = answer.task.id
            self.oracle.expected_tasks.add(answer.task.id)
            self.retry_keys.add(key)
            again = self.attempted(self.hub.services.tasks.retry(task.id, key=key, by=OPERATOR))
            assert not isinstance(again, HubError), f"I1: a repeat was refused: {again}"
            assert (again.task.id, again.created) == (answer.task.id, False)
        self.check()

    @precondition(lambda self: self.oracle.seen.tasks)
    @rule(number=picks)
    def move(self, number: int) -> None:
        task = self.pick(self.tasks(), number)
        assert task is not None
        self._move(task.id)
        self.check()

    def _move(self, task_id: int) -> None:
        """`retry 42 elsewhere`."""
        retry = self.hub.services.tasks.retry
        answer = self.attempted(retry(task_id, key=None, by=OPERATOR, elsewhere=True))
        if isinstance(answer, HubError):
            assert isinstance(answer, ConflictError)
        elif answer.created:
            self.oracle.expected_tasks.add(answer.task.id)
        else:
            assert answer.task.avoid_node, "a task was moved away from nowhere"

    @rule(on=st.booleans())
    def hold(self, on: bool) -> None:
        self.do(self.hub.services.control.hold(SetHold(on=on), by=OPERATOR))
        self.check()

    @rule(name=node_names, timeout_s=st.none() | st.just(120.0), resume=st.booleans())
    def drain(self, name: str, timeout_s: float | None, resume: bool) -> None:
        nodes = self.hub.services.nodes
        if resume:
            self.do(nodes.resume(name, by=OPERATOR))
        else:
            self.do(nodes.drain(name, DrainNode(timeout_s=timeout_s), by=OPERATOR))
            self.do(nodes.resume(name, by=OPERATOR)) if timeout_s is None else None
        self.check()

    @rule(name=node_names)
    def reset_breaker(self, name: str) -> None:
        self.do(self.hub.services.nodes.reset_breaker(name, by=OPERATOR))
        self.oracle.faults[name] = 0
        self.check()

    @rule()
    def resume_account(self) -> None:
        self.attempted(self.hub.services.nodes.resume_account(ACCOUNT, by=OPERATOR))
        self.check()

    @precondition(lambda self: self.oracle.seen.approvals)
    @rule(number=picks, yes=st.booleans(), newest=st.booleans(), for_all=st.booleans())
    def answer(self, number: int, yes: bool, newest: bool, for_all: bool) -> None:
        everything = sorted(self.oracle.seen.approvals.values(), key=lambda a: a.id)
        approval = everything[-1] if newest else self.pick(everything, number)
        assert approval is not None
        current = max(
            (a for a in self.oracle.seen.approvals.values() if a.code == approval.code),
            key=lambda a: a.id,
        )
        request = AnswerApproval(
            decision=Decision.APPROVE if yes else Decision.DENY,
            scope=Reach.TASK if for_all else Reach.ONCE,
        )
        reply = self.attempted(
            self.hub.services.approvals.answer(approval.code, request, by=OPERATOR)
        )
        may_be_for_all = yes and current.kind.value == "tool" and current.risk is not Risk.HIGH
        if current.state is ApprovalState.PENDING and for_all and not may_be_for_all:
            assert isinstance(reply, InvalidError), "I24: a yes for all that there cannot be"
        elif current.state is ApprovalState.PENDING:
            assert not isinstance(reply, HubError), f"I12: the first answer was refused: {reply}"
        else:
            assert isinstance(reply, AlreadyAnsweredError), "I12: a second answer was taken"
        self.check()

    # -- texts -----------------------------------------------------------------------------------

    def _hear(self, text: str, guid: str, **fields: Any) -> None:
        pending = [a for a in self.oracle.seen.approvals.values() if a.state.value == "pending"]
        asked = {
            o.approval_id: o.row_order
            for o in self.oracle.seen.outbox.values()
            if o.state == "sent" and o.approval_id is not None
        }
        known = guid in self.oracle.guids
        order = self.hub.orders + 1
        receipt = self.do(self.hub.text(text, guid=guid, **fields))
        after = self.oracle.look()
        new = set(after.tasks) - set(self.oracle.seen.tasks)
        decided = [a for a in pending if after.approvals[a.id].state is not a.state]
        if known:
            assert receipt.status == "duplicate", "I22: a guid was heard twice"
            assert (new, decided) == (set(), []), "I22: a repeated guid had an effect"
        assert len(new) + len(decided) <= 1 or text.startswith("stop"), "I22: more than one effect"
        if text in ("y", "n") and decided:
            assert len(pending) == 1, "I13: a bare answer with several pending"
            question_order = asked.get(pending[0].id)
            assert question_order is not None, "I13: answered before it was asked"
            assert question_order < fields.get("order", order), "I13: the question came later"
            if text == "y":
                assert pending[0].risk is not Risk.HIGH, "I13: high risk without its code"
        self.oracle.guids.setdefault(guid, receipt.task_id)
        self.oracle.expected_tasks |= new
        self.check()

    def _next_guid(self) -> str:
        self.texts += 1
        return f"text-{self.texts}"

    @rule(
        text=st.sampled_from(
            ["tidy up", "ask publish it", "ask sudo reboot", "@critic look", "! now", "low later"]
        )
    )
    def text_work(self, text: str) -> None:
        self._hear(text, self._next_guid())

    @rule(word=st.sampled_from(["y", "n"]), early=st.booleans())
    def text_bare(self, word: str, early: bool) -> None:
        fields = {"order": 0} if early else {}
        self._hear(word, self._next_guid(), **fields)

    @precondition(lambda self: self.oracle.seen.approvals)
    @rule(word=st.sampled_from(["y", "n"]), number=picks)
    def text_code(self, word: str, number: int) -> None:
        approval = self.pick(list(self.oracle.seen.approvals.values()), number)
        assert approval is not None
        self._hear(f"{word} {approval.code}", self._next_guid())

    @precondition(lambda self: self.oracle.guids)
    @rule(number=picks)
    def text_again(self, number: int) -> None:
        guid = self.pick(sorted(self.oracle.guids), number)
        self._hear("tidy up", guid or "")

    @rule(text=st.sampled_from(["status", "pending", "ls", "why 1", "more 1", "cost", "#1 go on"]))
    def text_other(self, text: str) -> None:
        self._hear(text, self._next_guid())

    @rule(ack=st.booleans())
    def bridge_sends(self, ack: bool) -> None:
        claimed = self.do(
            self.hub.services.outbox.claim(ClaimOutbox(wait_s=0, limit=50), by=BRIDGE)
        )
        for item in claimed.items:
            assert self.oracle.seen.outbox[item.id].state != "sent", "I22: a sent reply is offered"
            self.claimed[item.id] = item.claim
        if ack:
            self._acknowledge(dict(self.claimed))
        self.check()

    @precondition(lambda self: self.claimed)
    @rule()
    def bridge_acknowledges_again(self) -> None:
        self._acknowledge(dict(self.claimed))
        self.check()

    def _acknowledge(self, claims: dict[int, str]) -> None:
        for item_id, claim in claims.items():
            self.hub.orders += 1
            outcome = OutboxOutcome(
                outcome="sent", guid=f"out-{item_id}", claim=claim, order=self.hub.orders
            )
            self.attempted(self.hub.services.outbox.resolve(item_id, outcome, by=BRIDGE))

    # -- nodes -----------------------------------------------------------------------------------

    def _claim(self, name: str, free: int) -> list[Lease]:
        conn = self.oracle.conn
        breaker = node_store.breaker(conn, name)
        accounts = node_store.accounts(conn)
        leases = self.do(self.hub.claim(name, free))
        now = self.clock.now()
        if breaker.state is BreakerState.OPEN and (breaker.until or 0) > now:
            assert not leases, "I8: a lease through an open breaker"
        if breaker.state is not BreakerState.CLOSED:
            assert len(leases) <= 1, "I8: two probes at once"
            assert not (leases and breaker.probe_fence), "I8: a second probe"
        for account in accounts.values():
            self._check_account(account, name, leases)
        state = self.oracle.look()
        for lease in leases:
            self.leases[lease.fence] = (name, lease.task.id)
            self._check_cap(lease, state)
            if lease.task.resume is not None:
                self.resumes[lease.fence] = lease.task.resume.code
        self.check()
        return leases

    def _check_account(self, account: AccountRecord, name: str, leases: list[Lease]) -> None:
        """A login, its part on this node and its part for this class of models: no lease while it
        waits, and one alone afterwards."""
        concerned = [
            lease
            for lease in leases
            if account.node in (None, name) and account.model in (None, lease.task.model)
        ]
        if account.state is AccountState.OK or not concerned:
            return
        assert account.probe_fence is None, "I9: a lease beside the first task"
        assert self.clock.now() >= (account.paused_until or 0), "I9: a lease in the pause"
        assert len(concerned) == 1, "I9: more than one first task after the pause"
        after = node_store.accounts(self.oracle.conn)[account.name]
        assert after.probe_fence == concerned[0].fence, "I9: nobody remembers the first task"

    def _check_cap(self, lease: Lease, state: Seen) -> None:
        task = state.tasks[lease.task.id]
        continued = state.tasks.get(task.continue_of or 0)
        if continued is not None and continued.max_cost_usd is not None:
            assert task.max_cost_usd is not None, "I27: a follow-up runs without the cap"
        if task.max_cost_usd is not None:
            left = max(task.max_cost_usd - (task.cost_usd or 0.0), 0.01)
            assert (lease.task.max_cost_usd or 9e9) <= left + 1e-9, "I27: more than is left"

    @rule(name=node_names, free=st.integers(1, 4))
    def claim(self, name: str, free: int) -> None:
        self._claim(name, free)

    def _start(self, fence: int) -> bool:
        name, _ = self.leases[fence]
        task = self.oracle.look().task_of(fence)
        answer = self.attempted(self.hub.start(fence, name))
        if task is None:
            assert isinstance(answer, FencedError), "I11: an attempt that is over was started"
            return False
        if task.cancel_requested:
            assert isinstance(answer, FencedError), "I11: a stopped task was started"
            return False
        if task.avoid_node == name:
            assert isinstance(answer, FencedError), "I24: a moved task was started where it was"
            self.alive.pop(fence, None)
            return False
        assert not isinstance(answer, HubError), f"a start was refused: {answer}"
        wanted = "applied" if task.state is TaskState.LEASED else "duplicate"
        assert answer.status == wanted
        self._note_alive(fence)
        if fence in self.resumes:
            first = self.spent.setdefault(self.resumes[fence], fence)
            assert first == fence, "I10: one yes for two attempts"
        return True

    def _note_alive(self, fence: int) -> None:
        """Its node runs it from now on: nobody else may, until it said it does not, or was without
        contact for so long that it has stopped."""
        _, task_id = self.leases[fence]
        for other, contact_at in self.alive.items():
            silent_s = self.clock.monotonic() - contact_at
            same = other != fence and self.leases[other][1] == task_id
            stopped = silent_s > LIMITS.stop_after_s + KILL_GRACE_S
            assert stopped or not same, "I24: a task runs twice"
        self.alive[fence] = self.clock.monotonic()

    @precondition(lambda self: self.leases)
    @rule(number=picks)
    def start(self, number: int) -> None:
        self._start(self.pick(self.fences(), number) or 0)
        self.check()

    def _post(
        self, fence: int, outcome: str, cost: float, resets_in: float | None = None, **more: Any
    ) -> None:
        name, task_id = self.leases[fence]
        state = self.oracle.look()
        task = state.task_of(fence)
        resets_at = None if resets_in is None else to_datetime(self.clock.now() + resets_in)
        self.alive.pop(fence, None)
        answer = self.attempted(
            self.hub.result(
                fence,
                name,
                outcome,
                cost_usd=cost,
                resets_at=resets_at,
                runner="claude",
                **more,
            )
        )
        if state.attempts[fence].stop is not None and outcome != Outcome.OK:
            outcome = OVER_BUDGET
        if fence in self.oracle.applied:
            assert not isinstance(answer, HubError), "I4: a repeated result was refused"
            assert answer.status == "duplicate", "I4: a result was applied twice"
            return
        if task is not None and task.state is TaskState.LEASED:
            assert isinstance(answer, ConflictError), "a result before the start"
            return
        self.oracle.reported.setdefault(fence, cost)
        if task is None:
            assert isinstance(answer, FencedError), "I4: a stale result was not fenced"
            return
        assert not isinstance(answer, HubError), f"I4: the current result was refused: {answer}"
        assert answer.status == "applied"
        assert fence not in self.oracle.applied, "I4: applied twice"
        self.oracle.applied.add(fence)
        self._expect_fate(task_id, task, outcome)
        if outcome == Outcome.NODE_FAULT:
            self.oracle.faults[name] = self.oracle.faults.get(name, 0) + 1
        elif outcome in (Outcome.OK, Outcome.TASK_ERROR, Outcome.PERMANENT, OVER_BUDGET):
            self.oracle.faults[name] = 0

    def _expect_fate(self, task_id: int, before: TaskRecord, outcome: str) -> None:
        after = self.oracle.look().tasks[task_id]
        if outcome == Outcome.OK:
            assert after.state is TaskState.SUCCEEDED, "a success is a success"
            assert after.cancel_raced == before.cancel_requested
        elif before.cancel_requested:
            assert after.state is TaskState.CANCELLED, "a cancelled task goes on"
        elif outcome == OVER_BUDGET:
            assert after.state is TaskState.FAILED, "a task above its cap runs again"
        elif before.max_cost_usd is not None and (after.cost_usd or 0.0) >= before.max_cost_usd:
            assert after.state is TaskState.FAILED, "I27: it runs on with its cap spent"
        elif outcome == Outcome.INTERNAL:
            last = before.attempt >= LIMITS.max_attempts
            wanted = TaskState.FAILED if last else TaskState.QUEUED
            assert after.state is wanted, "a fault inside agentd is tried a bounded number of times"
            assert after.faults == before.faults, "a fault inside agentd counts as the node's"
        elif outcome in (Outcome.PROVIDER_LIMIT, Outcome.PROVIDER_BUSY, Outcome.NEEDS_LOGIN):
            assert after.state is TaskState.QUEUED
            assert after.attempt == before.attempt - 1, "the account's fault cost an attempt"
        self._expect_place(before, after, outcome)

    def _expect_place(self, before: TaskRecord, after: TaskRecord, outcome: str) -> None:
        if after.state is not TaskState.QUEUED or before.pinned_node is not None:
            return
        if before.avoid_node == before.node:
            assert not after.sticky, "I25: a moved task waits for the node it was moved from"
            assert after.avoid_node == before.node, "I25: a moved task may go back"
        elif outcome in (Outcome.INTERRUPTED, Outcome.LOST, Outcome.PROVIDER_LIMIT):
            assert after.sticky, "I25: interrupted work loses its place"
            follows = before.sticky and before.continue_of is not None
            assert follows or after.wait_until is not None, "I25: it waits with no end"

    @precondition(lambda self: self.leases)
    @rule(number=picks, outcome=outcomes, repeats=st.integers(1, 2))
    def result(self, number: int, outcome: str, repeats: int) -> None:
        fence = self.pick(self.fences(), number) or 0
        for _ in range(repeats):
            self._post(fence, outcome, 0.25, resets_in=600.0)
        self.check()

    @precondition(lambda self: self.leases)
    @rule(number=picks)
    def stranger_node(self, number: int) -> None:
        fence = self.pick(self.fences(), number) or 0
        owner, _ = self.leases[fence]
        other = next(name for name in NODES if name != owner)
        release = self.hub.services.attempts.release
        for work in (
            lambda: self.hub.start(fence, other),
            lambda: self.hub.result(fence, other),
            lambda: release(fence, by=node_actor(other)),
        ):
            assert isinstance(self.attempted(work()), ForbiddenError), "I18: another node's attempt"
        self.check()

    @precondition(lambda self: self.leases)
    @rule(number=picks)
    def release(self, number: int) -> None:
        fence = self.pick(self.fences(), number) or 0
        name, _ = self.leases[fence]
        self.attempted(self.hub.services.attempts.release(fence, by=node_actor(name)))
        self.check()

    @rule(name=node_names, lists_all=st.booleans(), restarted=st.booleans())
    def beat(self, name: str, lists_all: bool, restarted: bool) -> None:
        self._beat(name, lists_all, restarted)
        self.check()

    def _instance(self, name: str) -> str:
        return f"{name}-{self.starts[name]}"

    @precondition(lambda self: self.leases)
    @rule(number=picks, usd=st.sampled_from([None, 0.001, 0.3, 0.7, CAP_USD + 4.0]))
    def use(self, number: int, usd: float | None) -> None:
        """An attempt says what it used so far, whatever became of it meanwhile."""
        self._use(self.pick(self.fences(), number) or 0, usd)
        self.check()

    def _use(self, fence: int, usd: float | None) -> None:
        name, _ = self.leases[fence]
        attempt = self.oracle.look().attempts[fence]
        if attempt.started_at is not None and fence not in self.oracle.reported:
            self.oracle.so_far.setdefault(fence, []).append(usd)
        self._beat(name, usage=[UsageSoFar(fence=fence, usage=[Usage(model="m", cost_usd=usd)])])
        after = self.oracle.look()
        task = after.task_of(fence)
        if task is not None and task.state is TaskState.RUNNING and (usd or 0.0) > CAP_USD:
            assert after.attempts[fence].stop is not None, "a run above its cap goes on"

    def _beat(
        self,
        name: str,
        lists_all: bool = True,
        restarted: bool = False,
        usage: Sequence[UsageSoFar] = (),
    ) -> None:
        state = self.oracle.look()
        mine = [f for f, (node, _) in self.leases.items() if node == name]
        open_ = [f for f in mine if state.attempts[f].ended_at is None] if lists_all else []
        stale = [f for f in mine if state.attempts[f].ended_at is not None][-2:]
        if restarted:
            self.starts[name] += 1
            self._register(name)
        instance = self._instance(name)
        reply = self.do(
            self.hub.beat(name, *open_, *stale, instance_id=instance, usage=list(usage))
        )
        stopped = {f for f, a in self.oracle.look().attempts.items() if a.stop is not None}
        for fence in stale:
            assert fence in reply.kill, "I19: an attempt that is over is not killed"
        for fence in open_:
            task = state.task_of(fence)
            assert task is not None
            moved = task.avoid_node == task.node
            ends = task.cancel_requested or moved or fence in stopped
            assert (fence in reply.kill) == ends, "the wrong attempt is killed"
        for fence in [f for f in self.alive if self.leases[f][0] == name]:
            if fence in open_ and not restarted:
                self.alive[fence] = self.clock.monotonic()
            else:
                del self.alive[fence]  # it says itself that it does not run it

    @precondition(lambda self: self.tasks(TaskState.RUNNING))
    @rule(number=picks, same=st.booleans(), risky=st.booleans(), ruled=st.booleans())
    def ask(self, number: int, same: bool, risky: bool, ruled: bool) -> None:
        task = self.pick(self.tasks(TaskState.RUNNING), number)
        assert task is not None
        assert task.fence is not None
        codes = self.asked.setdefault(task.fence, [])
        if not (same and codes):
            self.asks += 1
        request = Ask(
            kind="tool",
            summary="Bash",
            detail="rm -rf build" if risky else "make",
            tool="Bash",
            ask_id=f"ask-{self.asks}" if not (same and codes) else f"ask-of-{task.fence}",
            rules=["Bash(make *)"] if ruled else [],
        )
        approval = self.do(
            self.hub.services.attempts.ask(task.fence, request, by=node_actor(task.node or ""))
        )
        codes.append(approval.code)
        self.check()

    @precondition(lambda self: any(t.fence in self.asked for t in self.tasks(TaskState.RUNNING)))
    @rule(number=picks)
    def park(self, number: int) -> None:
        task = self.pick(
            [t for t in self.tasks(TaskState.RUNNING) if t.fence in self.asked], number
        )
        assert task is not None
        assert task.fence is not None
        code = self.asked[task.fence][-1]
        self.alive.pop(task.fence, None)
        answer = self.attempted(
            self.hub.result(
                task.fence,
                task.node or "",
                "parked",
                cost_usd=0.1,
                session_id=f"session-{task.id}",
                approval_code=code,
            )
        )
        if not isinstance(answer, HubError):
            self.oracle.reported[task.fence] = 0.1
            self.oracle.applied.add(task.fence)
            after = self.oracle.look().tasks[task.id]
            ends = {TaskState.WAITING_APPROVAL, TaskState.QUEUED}
            if task.max_cost_usd is not None and after.cost_usd >= task.max_cost_usd:
                ends.add(TaskState.FAILED)  # moved or stopped, it ended for good
            assert after.state in ends
        self.check()

    # -- directed --------------------------------------------------------------------------------

    @rule(name=node_names, outcome=outcomes, stop=st.booleans())
    def run_one(self, name: str, outcome: str, stop: bool) -> None:
        """Beat, claim, start and end one task, and perhaps stop it when it is over."""
        self._beat(name)
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self._post(lease.fence, outcome, 0.5, resets_in=600.0)
            if stop:
                self.attempted(self.hub.services.tasks.cancel(lease.task.id, by=OPERATOR))
        self.check()

    @rule(name=node_names)
    def claim_start(self, name: str) -> None:
        self._beat(name)
        for lease in self._claim(name, 4):
            self._start(lease.fence)
        self.check()

    def _make_ready(self, name: str) -> None:
        self.hold(False)
        self.do(self.hub.services.nodes.resume(name, by=OPERATOR))
        self.attempted(self.hub.services.nodes.resume_account(ACCOUNT, by=OPERATOR))
        self._beat(name)

    def _asked(self, task: TaskRecord, *, risky: bool = False) -> Approval:
        self.asks += 1
        request = Ask(
            kind="tool",
            summary="Bash",
            detail="rm -rf build" if risky else f"make {self.asks}",
            tool="Bash",
            ask_id=f"ask-{self.asks}",
            rules=["Bash(make *)"],
        )
        by = node_actor(task.node or "")
        approval = self.do(self.hub.services.attempts.ask(task.fence or 0, request, by=by))
        self.asked.setdefault(task.fence or 0, []).append(approval.code)
        self.check()
        return approval

    @precondition(lambda self: self.tasks(TaskState.RUNNING))
    @rule(number=picks, taken_back=st.booleans())
    def a_yes_for_the_rest_of_the_task(self, number: int, taken_back: bool) -> None:
        """It answers the task's own like questions, no other task's, and none of high risk."""
        running = self.tasks(TaskState.RUNNING)
        task = self.pick(running, number)
        assert task is not None
        first = self._asked(task)
        if first.state is ApprovalState.PENDING:
            request = AnswerApproval(decision=Decision.APPROVE, scope=Reach.TASK)
            self.do(self.hub.services.approvals.answer(first.code, request, by=OPERATOR))
            self.check()
        assert self._asked(task).state is ApprovalState.APPROVED, "I24: asked again"
        assert self._asked(task, risky=True).state is ApprovalState.PENDING, "I24: high risk"
        for other in running:
            if other.id != task.id and not self.oracle.seen.tasks[other.id].grants:
                asked = self._asked(other)
                assert asked.state is ApprovalState.PENDING, "I24: another task's yes"
        if taken_back:
            self.do(self.hub.services.tasks.revoke(task.id, by=OPERATOR))
            self.check()
            assert self._asked(task).state is ApprovalState.PENDING, "I24: it was taken back"

    @rule(name=node_names, outcome=st.sampled_from(STREAKS))
    def streak(self, name: str, outcome: str) -> None:
        """The same end again and again, as a broken node or a spent limit gives it."""
        self._make_ready(name)
        self.reset_breaker(name)
        for _ in range(4):
            self.submit(False, name, Priority.HIGH, False, False)
            for lease in self._claim(name, 1):
                self._start(lease.fence)
                self._post(lease.fence, outcome, 0.0)
            self.check()

    def _all_ready(self) -> bool:
        """Everything is well, and every node has room."""
        for name in NODES:
            self._make_ready(name)
            self.reset_breaker(name)
        busy = [t.node for t in self.oracle.seen.tasks.values() if t.state in LIVE_STATES]
        return all(busy.count(name) < SLOTS[name] for name in NODES)

    def _ask_for_work(self, name: str, model: str | None = None) -> list[Lease]:
        self.submit(False, name, Priority.HIGH, False, False, model)
        self._beat(name)
        return self._claim(name, 1)

    def _refused(self, name: str, outcome: str, model: str | None = None, **more: Any) -> bool:
        """One task of that node meets trouble; another may stand before it in the queue."""
        leases = self._ask_for_work(name, model)
        for lease in leases:
            self._start(lease.fence)
            self._post(lease.fence, outcome, 0.0, **more)
        self.check()
        return bool(leases)

    @rule(name=node_names, second=st.booleans(), probe_well=st.booleans())
    def a_login_is_lost(self, name: str, second: bool, probe_well: bool) -> None:
        """On one node: the other works on. On both: the account waits. Then one task tries."""
        if not self._all_ready() or not self._refused(name, Outcome.NEEDS_LOGIN):
            return
        other = next(n for n in NODES if n != name)
        assert not self._ask_for_work(name), "I9: a lease on a lost login"
        if second:
            assert self._refused(other, Outcome.NEEDS_LOGIN), "I9: a login is lost on one node only"
            whole = node_store.account(self.oracle.conn, ACCOUNT)
            assert whole is not None, "I9: two nodes lost the login, and the account is well"
            assert whole.state is AccountState.BLOCKED, "I9: two nodes lost the login in vain"
        else:
            assert self._ask_for_work(other), "I9: one node's login stops the other node"
        self.clock.advance(90)
        for node in NODES:
            self._beat(node)
        for lease in self._claim(name, 4):
            self._start(lease.fence)
            self._post(lease.fence, Outcome.OK if probe_well else Outcome.NEEDS_LOGIN, 0.0)
        self.check()

    @rule(name=node_names)
    def a_model_is_spent(self, name: str) -> None:
        """Tasks of another class of models go on, on this node and elsewhere."""
        for _ in range(2):
            self.submit(False, name, Priority.HIGH, False, False, "opus")
        limit: dict[str, Any] = {"limited_model": "opus", "resets_in": 5000.0}
        if not self._all_ready():
            return
        if not self._refused(name, Outcome.PROVIDER_LIMIT, "opus", **limit):
            return
        for node in NODES:
            assert self._ask_for_work(node, "haiku"), "I9: one model's limit stops another model"
        self.check()

    @rule(name=node_names, outcome=outcomes)
    def stopped_in_a_race(self, name: str, outcome: str) -> None:
        """A stop crosses the result on its way."""
        self._make_ready(name)
        self.submit(False, name, Priority.HIGH, False, False)
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self.do(self.hub.services.tasks.cancel(lease.task.id, by=OPERATOR))
            self.check()
            self._beat(name)
            self._post(lease.fence, outcome, 0.2)
        self.check()

    @rule(
        word=st.sampled_from(["y", "n"]),
        texts=st.sampled_from(
            [("ask publish it",), ("ask sudo reboot",), ("ask publish it", "ask sudo reboot")]
        ),
        early=st.booleans(),
    )
    def questions(self, word: str, texts: tuple[str, ...], early: bool) -> None:
        """Older questions are settled, new ones reach the phone, and a bare answer comes back, or
        one that was written before them comes in after them."""
        for approval in list(self.oracle.seen.approvals.values()):
            if approval.state is ApprovalState.PENDING:
                request = AnswerApproval(decision=Decision.DENY)
                self.do(self.hub.services.approvals.answer(approval.code, request, by=OPERATOR))
        self.check()
        for text in texts:
            self.text_work(text)
        self.bridge_sends(True)
        self.text_bare(word, early)

    @rule(name=node_names)
    def knock(self, name: str) -> None:
        """A node breaks; many tasks wait for it; when its cooldown is over it asks twice."""
        self.reset_breaker(name)
        self.streak(name, Outcome.NODE_FAULT)
        for _ in range(2):
            self.submit(False, name, Priority.HIGH, False, False)
        self.clock.advance(90)
        self._beat(name)
        for _ in range(2):
            for lease in self._claim(name, 4):
                self._start(lease.fence)
        self.check()

    @rule()
    def limit_storm(self) -> None:
        """Everything that runs meets the same provider limit; then all ask again."""
        self.submit(False, None, Priority.NORMAL, False, False)
        for name in NODES:
            self.claim_start(name)
        for task in self.tasks(TaskState.RUNNING):
            self._post(task.fence or 0, Outcome.PROVIDER_LIMIT, 0.1, resets_in=300.0)
        for name in NODES:
            self._beat(name)
            self._claim(name, 4)
        self.check()

    @rule()
    def after_the_limit(self) -> None:
        self.submit(False, None, Priority.NORMAL, False, False)
        self.submit(False, None, Priority.NORMAL, False, False)
        self.clock.advance(700)
        for name in NODES:
            self._beat(name)
            self._claim(name, 4)
        self.check()

    @precondition(lambda self: self.tasks(TaskState.RUNNING, TaskState.CANCELLING))
    @rule(listens=st.booleans(), taken_over=st.booleans())
    def go_silent(self, listens: bool, taken_over: bool = False) -> None:
        """No beat for so long that all that ran is lost; late results come afterwards, also when
        somebody else works on the same by then."""
        running = [t.fence for t in self.tasks(*LIVE_STATES) if t.fence]
        for seconds in (0.0, 61.0, 1.0, LIMITS.lost_after_s + 1):
            self.do(self.hub.tick(seconds))
            if listens:
                for name in NODES:
                    self._beat(name, lists_all=False)
            self.check()
        for task in self.oracle.look().tasks.values():
            assert task.fence not in running, "I20: live without a renewal for ever"
        if taken_over:
            for name in NODES:
                self.claim_start(name)
        for fence in running:
            if fence in self.leases:
                self._post(fence, Outcome.OK, 0.75)
        self.check()

    @rule(
        name=node_names,
        silent=st.booleans(),
        later_s=st.sampled_from([1.0, 400.0, 1900.0]),
    )
    def moved_away(self, name: str, silent: bool, later_s: float) -> None:
        """Its owner wants elsewhere what runs, or may run; the other node asks for it at once and
        later."""
        other = next(n for n in NODES if n != name)
        for ready in NODES:
            self._make_ready(ready)
        self.submit(False, None, Priority.HIGH, False, False)
        self.do(self.hub.tick())
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self.check()
            if silent:
                self.do(self.hub.tick(62.0))
            self._move(lease.task.id)
            self.check()
            for seconds in (0.0, later_s):
                self.do(self.hub.tick(seconds))
                self._make_ready(other)
                for taken in self._claim(other, 4):
                    self._start(taken.fence)
            if not silent:
                self._post(lease.fence, Outcome.KILLED, 0.1)
        self.check()

    @rule(name=node_names, outcome=st.sampled_from([Outcome.INTERRUPTED, Outcome.LOST]))
    def interrupted(self, name: str, outcome: str) -> None:
        """Capped work is interrupted while another node asks; it resumes, and is followed up."""
        other = next(n for n in NODES if n != name)
        for ready in NODES:
            self._make_ready(ready)
        self.submit(False, None, Priority.HIGH, False, False, capped=True)
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self._post(lease.fence, outcome, 0.5)
            self.check()
            self._claim(other, 4)
            for again in self._claim(name, 4):
                self._start(again.fence)
                self._post(again.fence, Outcome.OK, 0.1)
            self.check()
            self._hear(f"#{lease.task.id} and once more", self._next_guid())
            self._claim(name, 4)
        self.check()

    @rule(name=node_names)
    def lost_with_its_yes(self, name: str) -> None:
        """A task parks, gets its yes, goes on with it, and is lost; somebody runs it again."""
        self._make_ready(name)
        self.submit(False, name, Priority.HIGH, False, False)
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self.check()
            self.ask(self._place(lease.fence, self.tasks(TaskState.RUNNING)), False, False, False)
            asked = [t for t in self.tasks(TaskState.RUNNING) if t.fence in self.asked]
            self.park(self._place(lease.fence, asked))
            self.answer(0, True, True, False)
        self.claim_start(name)
        self.go_silent(False, True)

    @rule(name=node_names, outcome=outcomes)
    def above_its_cap(self, name: str, outcome: str) -> None:
        """An attempt spends more than its task may."""
        self._make_ready(name)
        self.submit(False, name, Priority.HIGH, False, False)
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self._use(lease.fence, CAP_USD + 4.0)
            self._post(lease.fence, outcome, 0.25, resets_in=600.0)
        self.check()

    @rule(name=node_names)
    def lost_as_it_spends(self, name: str) -> None:
        """Its last word, too little to be told to clients, is what it cost."""
        self._make_ready(name)
        self.submit(False, name, Priority.HIGH, False, False)
        for lease in self._claim(name, 1):
            self._start(lease.fence)
            self._use(lease.fence, 0.3)
            self._use(lease.fence, 0.301)
        self.check()
        self.go_silent(False, True)

    def _place(self, fence: int, tasks: list[TaskRecord]) -> int:
        return [task.fence for task in tasks].index(fence)

    @rule()
    def poison(self) -> None:
        """One task after another is lost with its node, again and again."""
        self.hold(False)
        self.submit(False, "archon", Priority.HIGH, False, False)
        for _ in range(4):
            self.claim_start("archon")
            if self.tasks(TaskState.RUNNING):
                self.go_silent(False)
            self.reset_breaker("archon")

    @rule(number=picks)
    def tamper(self, number: int) -> None:
        """Somebody changes what an approved task will run; it must not run then."""
        for name in NODES:
            self._make_ready(name)
        self.submit(True, None, Priority.HIGH, False, False)
        self.answer(0, True, True, False)
        gated = [
            t for t in self.tasks(TaskState.QUEUED)
            if any(
                a.task_id == t.id and a.kind.value == "gate"
                for a in self.oracle.seen.approvals.values()
            )
        ]  # fmt: skip
        task = self.pick(gated, number)
        if task is None:
            return
        change = "UPDATE tasks SET prompt = :prompt WHERE id = :id"
        for prompt in ("rm -rf /", task.prompt):
            self.do(
                self.hub.database.write(
                    lambda tx, p=prompt: (
                        tx.conn.execute(change, {"prompt": p, "id": task.id}) and None
                    )
                )
            )
            if prompt != task.prompt:
                for name in NODES:
                    self._beat(name)
                    leased = {lease.task.id for lease in self.do(self.hub.claim(name, 4))}
                    assert task.id not in leased, "I10: leased something else than approved"
                    self._note_leases()
        self.check()

    def _note_leases(self) -> None:
        for fence, attempt in self.oracle.look().attempts.items():
            self.leases.setdefault(fence, (attempt.node, attempt.task_id))

    # -- time ------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, 12.0, 31.0, 65.0, 400.0, 1801.0]))
    def time_passes(self, seconds: float) -> None:
        self.do(self.hub.tick(seconds))
        self.check()
        now = self.clock.now()
        for task in self.tasks(TaskState.QUEUED):
            assert (task.wait_until or now) >= now, "I26: it waits longer than it said"

    @rule(hours=st.sampled_from([-24, -1, 8]), busy=st.booleans())
    def clock_jumps(self, hours: int, busy: bool) -> None:
        """A jump expires nothing at its first tick."""
        if busy:
            self.submit(False, None, Priority.HIGH, False, False)
            self.claim_start("archon")
        live = {t.id for t in self.tasks(*LIVE_STATES)}
        self.do(self.hub.tick())
        live &= {t.id for t in self.oracle.look().tasks.values() if t.state in LIVE_STATES}
        self.clock.jump(hours * 3600.0)
        self.do(self.hub.tick())
        after = self.oracle.look()
        for task_id in live:
            assert after.tasks[task_id].state in LIVE_STATES, "a clock jump expired a lease"
        self.check()

    @rule()
    def restart(self) -> None:
        self._close()
        self._open()
        self.oracle.epoch = self.hub.database.epoch
        live = {t.id for t in self.tasks(*LIVE_STATES)}
        self.do(self.hub.tick())
        after = self.oracle.look()
        for task_id in live:
            assert after.tasks[task_id].state in LIVE_STATES, "a restart expired a lease"
        self.check()

    @rule(acts=st.integers(1, 3))
    def restore(self, acts: int) -> None:
        """A backup is taken, work goes on, and the backup is put back."""
        backup = self.path.with_name("backup.db")
        backup.unlink(missing_ok=True)
        self.do(
            self.hub.database.maintain(lambda conn: conn.execute("VACUUM INTO ?", [str(backup)]))
        )
        remembered = self._remember()
        for _ in range(acts):
            self.submit(False, None, Priority.NORMAL, False, False)
            self.claim_start("archon")
        self._close()
        self.oracle.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        backup.rename(self.path)
        self._open()
        fences = self.oracle.fences
        assert self.hub.database.epoch > self.oracle.epoch, "I3: a restore kept its epoch"
        for name in NODES:
            self._register(name)
        self._recall(remembered)
        self.oracle.fences = fences
        for fence in [f for f in self.leases if f not in self.oracle.seen.attempts]:
            name, _ = self.leases.pop(fence)
            answer = self.attempted(self.hub.result(fence, name))
            assert isinstance(answer, FencedError), "I4: a result from before the restore counted"
        self.check()

    def _remember(self) -> dict[str, Any]:
        oracle = self.oracle
        return {
            "acknowledged": dict(oracle.acknowledged),
            "expected_tasks": set(oracle.expected_tasks),
            "reported": dict(oracle.reported),
            "so_far": {fence: list(said) for fence, said in oracle.so_far.items()},
            "applied": set(oracle.applied),
            "guids": dict(oracle.guids),
            "faults": dict(oracle.faults),
            "opened_after": dict(oracle.opened_after),
        }

    def _recall(self, remembered: dict[str, Any]) -> None:
        self.oracle = Oracle(self.path, self.hub.database.epoch, **remembered)
        self.claimed = {i: c for i, c in self.claimed.items() if i in self.oracle.seen.outbox}
        self.asked = {}
        self.resumes, self.spent = {}, {}
        self.alive = {}  # what ran beyond the backup is ended by the next heartbeat
