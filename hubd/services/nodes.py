"""Nodes: registration, heartbeats with their orders, drain and breaker resets."""

from __future__ import annotations

from dataclasses import replace

from common.clock import to_datetime
from common.version import VERSION
from common.wire.approvals import ApprovalState, Decision
from common.wire.events import Pulse
from common.wire.nodes import (
    Account,
    AnswerOrder,
    BreakerState,
    DrainNode,
    Heartbeat,
    HeartbeatReply,
    Leaving,
    NodeList,
    NodeStatus,
    Registered,
    RegisterNode,
)
from common.wire.tasks import TaskState
from hubd.domain import accounts, breaker, places
from hubd.domain.actors import Actor
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import NodeRecord, TaskRecord
from hubd.errors import DatabaseBusyError, NotFoundError, StorageFullError
from hubd.services import booking, ending, journal, present
from hubd.services.env import Env
from hubd.services.instances import Instances, refuse_other
from hubd.store import approvals, attempts, nodes, tasks
from hubd.store.database import Database
from hubd.store.transaction import Tx, View


class LeaseBook:
    """Renewals that could not be written because the disk is full; the reaper respects them."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}

    def renew(self, fences: list[int], until: float) -> None:
        for fence in fences:
            self._until[fence] = until

    def until(self, fence: int) -> float:
        return self._until.get(fence, 0.0)


class Nodes:
    """Every method raises NotFoundError for a node that never registered, but `register`."""

    def __init__(self, database: Database, env: Env, book: LeaseBook) -> None:
        self._database = database
        self._env = env
        self._book = book
        self._instances = Instances(env.config.hub.stale_after_s)

    async def register(self, name: str, request: RegisterNode, *, by: Actor) -> Registered:
        """Record what a node is; its drain and its breaker stay as they were. Raises
        SupersededError for an agent that another replaced."""

        def run(tx: Tx) -> None:
            self._instances.admit(nodes.find(tx.conn, name), request.instance_id, tx.now)
            register(tx, name, request)

        await self._database.write(run)
        self._pulse(name)
        hub = self._env.config.hub
        return Registered(
            heartbeat_s=hub.heartbeat_s,
            lease_s=hub.lease_s,
            stop_after_s=hub.stop_after_s,
            hub_version=VERSION,
        )

    async def heartbeat(self, name: str, request: Heartbeat, *, by: Actor) -> HeartbeatReply:
        """Renew the leases of the attempts listed; answered from memory while nothing can be
        written. Raises ConflictError for another agent than the registered one."""
        try:
            reply = await self._database.write(
                lambda tx: take_heartbeat(tx, self._env, name, request)
            )
        except (StorageFullError, DatabaseBusyError):
            until = self._database.clock.now() + self._env.config.hub.lease_s
            self._book.renew(list(request.running), until)
            reply = await self._database.read(lambda view: orders(view, name, request))
        self._pulse(name)
        return reply

    def _pulse(self, name: str) -> None:
        at = to_datetime(self._database.clock.now())
        self._database.bus.publish([Pulse(node=name, at=at)])

    async def list(self) -> NodeList:
        return await self._database.read(lambda view: NodeList(nodes=statuses(view, self._env)))

    async def get(self, name: str) -> NodeStatus:
        return await self._database.read(lambda view: status(view, self._env, name))

    async def drain(self, name: str, request: DrainNode, *, by: Actor) -> NodeStatus:
        """Let it finish and take no more; `timeout_s` resumes it by itself."""

        def run(tx: Tx) -> NodeStatus:
            set_drain(tx, name, request.note, request.timeout_s, by.name)
            return status(tx, self._env, name)

        return await self._database.write(run)

    async def resume(self, name: str, *, by: Actor) -> NodeStatus:
        def run(tx: Tx) -> NodeStatus:
            end_drain(tx, name, by.name)
            return status(tx, self._env, name)

        return await self._database.write(run)

    async def reset_breaker(self, name: str, *, by: Actor) -> NodeStatus:
        """Close the breaker and forget its openings."""

        def run(tx: Tx) -> NodeStatus:
            reset_breaker(tx, self._env, name, by.name)
            return status(tx, self._env, name)

        return await self._database.write(run)

    async def resume_account(self, account: str, *, by: Actor) -> Account:
        """End an account's pause, or its block after somebody logged in: of the whole login with
        its parts, or of one part. Raises NotFoundError."""
        return await self._database.write(
            lambda tx: resume_account(tx, self._env, account, by.name)
        )


def find_node(source: Tx | View, name: str) -> NodeRecord:
    node = nodes.find(source.conn, name)
    if node is None:
        raise NotFoundError(f"no node is called {name}")
    return node


def register(tx: Tx, name: str, request: RegisterNode) -> NodeRecord:
    """A node says what it is. After a new instance of its agent one task may try a login that was
    lost there: its owner may have logged in."""
    was = nodes.find(tx.conn, name)
    start = was or NodeRecord(name=name, slots=request.slots, registered_at=tx.now)
    node = replace(
        start,
        slots=request.slots,
        labels=tuple(request.labels),
        specialists=tuple(request.specialists),
        runners=tuple(request.runners),
        account=request.account,
        version=request.version,
        instance_id=request.instance_id,
        facts=request.facts,
        accepting=True,
        not_accepting_reason=None,
        leaving=None,
        heartbeat_at=tx.now,
        registered_at=tx.now,
    )
    journal.save_node(tx, node, "node.registered", {"new": was is None})
    if was is not None and was.instance_id != node.instance_id:
        for row in nodes.accounts_of(tx.conn, node.account_name).values():
            if row.node in (None, name):
                journal.save_account(tx, row, accounts.try_now(row, tx.now), {"node": name})
    return node


def resume_account(tx: Tx, env: Env, name: str, by: str) -> Account:
    """Clear the rows called `name`, and let what waited for them run."""
    rows = nodes.accounts_of(tx.conn, name)
    if not rows and not any(n.account_name == name for n in nodes.everyone(tx.conn)):
        raise NotFoundError(f"no account is called {name}")
    for was in accounts.troubled(rows.values()) + accounts.restarting(rows.values()):
        journal.save_account(tx, was, accounts.resume(was, tx.now), {"by": by})
    for task in tasks.waiting_for_account(tx.conn, rows[name].login if name in rows else name):
        freed = replace(task, not_before=None, updated_at=tx.now)
        journal.save_task(tx, env, task, freed, "task.waiting", {"by": by, "account": name})
    found = nodes.account(tx.conn, name)
    return present.account(found or accounts.of_login(name))


def take_heartbeat(tx: Tx, env: Env, name: str, request: Heartbeat) -> HeartbeatReply:
    """Renew what it runs (T12), give up what its predecessor left behind, and answer with
    orders."""
    node = find_node(tx, name)
    refuse_other(node, request.instance_id)
    nodes.beat(tx.conn, name, tx.now)
    _note_changes(tx, env, node, request)
    for report in request.usage:
        booking.take_report(tx, env, name, report)
    until = tx.now + env.config.hub.lease_s
    listed = set(request.running)
    for task in tasks.live_of(tx.conn, name):
        if task.fence in listed:
            attempts.renew(tx.conn, task.fence or 0, name, until)
            _reappear(tx, env, task, until)
        else:
            _give_up_if_forgotten(tx, env, node, task, request)
    reply = orders(tx, name, request)
    for answer in reply.answers:
        for record in approvals.undelivered(tx.conn, answer.fence):
            approvals.mark_delivered(tx.conn, record.id)
    return reply


def _note_changes(tx: Tx, env: Env, node: NodeRecord, request: Heartbeat) -> None:
    changed = replace(
        node,
        heartbeat_at=tx.now,
        accepting=request.accepting,
        not_accepting_reason=request.not_accepting_reason,
        leaving=request.leaving,
        facts=node.facts if request.facts is None else request.facts,
    )
    if replace(changed, heartbeat_at=node.heartbeat_at) != node:
        journal.save_node(tx, changed, "node.changed")
    if request.leaving is Leaving.SLEEPING and node.leaving is not Leaving.SLEEPING:
        _wait_for_sleeper(tx, env, node.name)


def _wait_for_sleeper(tx: Tx, env: Env, name: str) -> None:
    """What waits for a node that goes to sleep waits for as long as is said of sleepers."""
    until = places.wait_until(tx.now, Leaving.SLEEPING, env.config.hub)
    for task in tasks.in_state(tx.conn, [TaskState.QUEUED]):
        if task.wait_until is not None and task.wait_until < until and tasks.place_of(task) == name:
            longer = replace(task, wait_until=until, updated_at=tx.now)
            journal.save_task(tx, env, task, longer, "task.waiting", {"node": name})


def _reappear(tx: Tx, env: Env, task: TaskRecord, until: float) -> None:
    if task.state is not TaskState.UNKNOWN:
        return
    move = Move.REAPPEAR_CANCELLING if task.cancel_requested else Move.REAPPEAR
    journal.move_task(
        tx, env, task, move, Cause.NODE, lease_until=until, unknown_since=None,
        wait_reason=None, wait_told=False,
        detail={"node": task.node, "fence": task.fence},
    )  # fmt: skip


def _give_up_if_forgotten(
    tx: Tx, env: Env, node: NodeRecord, task: TaskRecord, request: Heartbeat
) -> None:
    """A restarted agent that does not list an attempt of its predecessor has lost it: no need to
    wait for the lease."""
    attempt = attempts.find(tx.conn, task.fence or 0)
    if attempt is None or attempt.instance_id in (None, request.instance_id):
        return
    if request.instance_id is None or task.state is TaskState.LEASED:
        return
    if task.state is not TaskState.UNKNOWN:
        task = journal.move_task(
            tx, env, task, Move.LEASE_EXPIRED, Cause.HUB, unknown_since=tx.now,
            detail={"node": node.name, "reason": "its agent was restarted"},
        )  # fmt: skip
    ending.lose(
        tx, env, task, attempt, node_beats=False, waits=True, reason="its agent was restarted"
    )


def orders(source: Tx | View, name: str, request: Heartbeat) -> HeartbeatReply:
    """What the node is told: attempts to end, answers to its questions, whether to test itself."""
    kill: list[int] = []
    answers: list[AnswerOrder] = []
    live = {task.fence: task for task in tasks.live_of(source.conn, name)}
    for fence in request.running:
        task = live.get(fence)
        ends = task is None or task.cancel_requested or ending.is_moved(task)
        if task is None or ends or _is_stopped(source, fence):
            kill.append(fence)
            continue
        for record in approvals.undelivered(source.conn, fence):
            answers.append(
                AnswerOrder(
                    code=record.code,
                    fence=fence,
                    decision=(
                        Decision.APPROVE
                        if record.state is ApprovalState.APPROVED
                        else Decision.DENY
                    ),
                    note=record.note,
                    answer=record.answer,
                )
            )
    its_breaker = nodes.breaker(source.conn, name)
    return HeartbeatReply(
        kill=kill, answers=answers, self_test=its_breaker.state is BreakerState.OPEN
    )


def _is_stopped(source: Tx | View, fence: int) -> bool:
    attempt = attempts.find(source.conn, fence)
    return attempt is not None and attempt.stop is not None


def statuses(source: Tx | View, env: Env) -> list[NodeStatus]:
    running: dict[str, list[int]] = {}
    for task in tasks.live(source.conn):
        running.setdefault(task.node or "", []).append(task.id)
    breakers = nodes.breakers(source.conn)
    rows = nodes.accounts(source.conn).values()
    return [
        present.node_status(
            node,
            breakers.get(node.name) or nodes.breaker(source.conn, node.name),
            running.get(node.name, []),
            now=source.now,
            stale_after_s=env.config.hub.stale_after_s,
            accounts=rows,
        )
        for node in nodes.everyone(source.conn)
    ]


def status(source: Tx | View, env: Env, name: str) -> NodeStatus:
    node = find_node(source, name)
    return present.node_status(
        node,
        nodes.breaker(source.conn, name),
        [task.id for task in tasks.live_of(source.conn, name)],
        now=source.now,
        stale_after_s=env.config.hub.stale_after_s,
        accounts=nodes.accounts(source.conn).values(),
    )


def set_drain(tx: Tx, name: str, note: str | None, timeout_s: float | None, by: str) -> None:
    node = find_node(tx, name)
    drained = replace(
        node,
        draining=True,
        drain_note=note,
        drain_until=None if timeout_s is None else tx.now + timeout_s,
    )
    journal.save_node(tx, drained, "node.draining", {"by": by})


def end_drain(tx: Tx, name: str, by: str) -> None:
    node = find_node(tx, name)
    if node.draining:
        resumed = replace(node, draining=False, drain_note=None, drain_until=None)
        journal.save_node(tx, resumed, "node.resumed", {"by": by})


def reset_breaker(tx: Tx, env: Env, name: str, by: str) -> None:
    find_node(tx, name)
    was = nodes.breaker(tx.conn, name)
    journal.save_breaker(tx, env, was, breaker.reset(was, tx.now), {"by": by})
