"""Attempts: what a node says about the work it holds. The fence decides, never the clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.wire.approvals import Approval
from common.wire.nodes import (
    Applied,
    Ask,
    Claim,
    Claimed,
    PostOutput,
    PostResult,
    StartAttempt,
)
from common.wire.tasks import TaskState
from hubd.domain.actors import Actor
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import AttemptRecord, TaskRecord
from hubd.errors import ConflictError, FencedError
from hubd.services import asking, ending, journal, placing, present
from hubd.services.dispatcher import Dispatcher
from hubd.services.env import Env
from hubd.services.output import OutputFeed
from hubd.store import attempts, output
from hubd.store.database import Database
from hubd.store.transaction import Tx

APPLIED, DUPLICATE = Applied(status="applied"), Applied(status="duplicate")


def fenced(fence: int) -> FencedError:
    return FencedError(f"attempt {fence} no longer counts: end it and keep its work folder aside")


class Attempts:
    """`by` is always a node; an attempt of another node raises ForbiddenError."""

    def __init__(
        self, database: Database, env: Env, dispatcher: Dispatcher, feed: OutputFeed
    ) -> None:
        self._database = database
        self._env = env
        self._dispatcher = dispatcher
        self._feed = feed

    async def claim(self, node: str, request: Claim) -> Claimed:
        """Long poll for up to `wait_s`; empty when nothing came. Cancelling the call gives back
        what it was about to return. Raises NotFoundError when the node never registered."""
        return await self._dispatcher.claim(node, request)

    async def start(self, fence: int, request: StartAttempt, *, by: Actor) -> Applied:
        """Only after this returned may a process be spawned. Raises FencedError, also for a task
        somebody stopped in the meantime."""
        started = await self._database.write(
            lambda tx: start_attempt(tx, self._env, fence, by.name, request)
        )
        if started is None:
            raise fenced(fence)
        return started

    async def output(self, fence: int, request: PostOutput, *, by: Actor) -> Applied:
        """Append live output; a batch that was seen is `duplicate`. Raises FencedError, and
        ConflictError for one that leaves a hole."""

        def run(tx: Tx) -> tuple[int, int]:
            attempt, _ = _current(tx, fence, by.name)
            expected = output.next_n(tx.conn, fence)
            if request.first > expected:
                raise ConflictError(f"output continues at {expected}, not at {request.first}")
            added = output.append(tx.conn, fence, request.first, request.items, tx.now)
            return attempt.task_id, added

        task_id, added = await self._database.write(run)
        self._feed.wake(task_id)
        return APPLIED if added or not request.items else DUPLICATE

    async def release(self, fence: int, *, by: Actor) -> Applied:
        """Give a lease back that was not started. Raises FencedError, ConflictError."""

        def run(tx: Tx) -> Applied:
            attempt = ending.own_attempt(tx, fence, by.name)
            if attempt is not None and attempt.outcome == "released":
                return DUPLICATE
            attempt, task = _current(tx, fence, by.name)
            if task.state is not TaskState.LEASED:
                raise ConflictError(f"attempt {fence} was started: post its result instead")
            placing.take_back(tx, self._env, task, attempt, Move.RELEASE, Cause.NODE)
            return APPLIED

        return await self._database.write(run)

    async def result(self, fence: int, request: PostResult, *, by: Actor) -> Applied:
        """End an attempt. Raises FencedError after having recorded what it cost, ConflictError
        for one that was not started, InvalidError for a park without its question."""
        posted = await self._database.write(
            lambda tx: ending.post_result(tx, self._env, fence, by.name, request)
        )
        if posted.task_id is not None:
            self._feed.wake(posted.task_id)
        if posted.status == "fenced":
            raise fenced(fence)
        return Applied(status=posted.status)

    async def ask(self, fence: int, request: Ask, *, by: Actor) -> Approval:
        """Record a question in flight; the same `ask_id` gives the same approval."""

        def run(tx: Tx) -> Approval:
            attempt, task = _current(tx, fence, by.name)
            return present.approval(asking.ask_in_flight(tx, self._env, attempt, task, request))

        return await self._database.write(run)


def _current(tx: Tx, fence: int, node: str) -> tuple[AttemptRecord, TaskRecord]:
    attempt = ending.own_attempt(tx, fence, node)
    task = None if attempt is None else ending.current_task(tx, attempt)
    if attempt is None or task is None:
        raise fenced(fence)
    return attempt, task


def start_attempt(tx: Tx, env: Env, fence: int, node: str, request: StartAttempt) -> Applied | None:
    """T5; starting twice is fine. None for a task that is being stopped or moved: a node that asks
    again has spawned nothing yet (its first answer was lost), so the attempt ends here."""
    attempt, task = _current(tx, fence, node)
    if task.cancel_requested:
        ending.stop_unstarted(tx, env, task, attempt)
        return None
    if ending.is_moved(task):
        ending.move_unstarted(tx, env, task, attempt)
        return None
    if task.state is not TaskState.LEASED:
        return DUPLICATE
    until = tx.now + env.config.hub.lease_s
    attempts.update(
        tx.conn,
        replace(
            attempt,
            started_at=tx.now,
            lease_until=until,
            runner=request.runner,
            session_id=request.session_id,
        ),
    )
    changes: dict[str, Any] = {"wait_until": None, "wait_told": False, "avoid_node": None}
    if request.session_id is not None:
        changes |= {"session_id": request.session_id, "session_node": node}
    elif task.session_node not in (None, node):
        changes |= {"session_id": None, "session_node": None}
    journal.move_task(
        tx,
        env,
        task,
        Move.START,
        Cause.NODE,
        detail={"node": node, "fence": fence},
        lease_until=until,
        started_at=task.started_at or tx.now,
        outcome=None,
        error=None,
        **changes,
    )
    return APPLIED
