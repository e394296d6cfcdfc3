"""Approvals: recorded questions; the first answer wins and the second is told so."""

from __future__ import annotations

import asyncio

from common.wire.admin import Role
from common.wire.approvals import AnswerApproval, Approval, ApprovalList, ApprovalState
from common.wire.events import Entity, Event, Pulse
from hubd.domain.actors import Actor
from hubd.domain.records import ApprovalRecord
from hubd.errors import ConflictError, ForbiddenError, NotFoundError
from hubd.services import asking, present
from hubd.services.asking import Verdict
from hubd.services.env import Env
from hubd.store import approvals
from hubd.store.database import Database
from hubd.store.transaction import Tx, View


class Approvals:
    def __init__(self, database: Database, env: Env) -> None:
        self._database = database
        self._env = env
        self._waiting: dict[int, set[asyncio.Event]] = {}
        database.bus.listen(self._hear)

    def _hear(self, item: Event | Pulse) -> None:
        if isinstance(item, Event) and item.entity is Entity.APPROVAL:
            for event in self._waiting.get(int(item.key), ()):
                event.set()

    async def list(self, state: ApprovalState | None = None, limit: int = 200) -> ApprovalList:
        """Oldest first while pending, else newest first."""
        return await self._database.read(
            lambda view: ApprovalList(
                approvals=[present.approval(a) for a in approvals.listed(view.conn, state, limit)]
            )
        )

    async def get(self, code: str, *, wait_s: float = 0.0, by: Actor) -> Approval:
        """The newest approval with that code; waits up to `wait_s` for its answer. A node sees
        only those of its own attempts. Raises NotFoundError, ForbiddenError."""
        record = await self._database.read(lambda view: _visible(view, code, by))
        if record.state is not ApprovalState.PENDING or wait_s <= 0:
            return present.approval(record)
        answered = asyncio.Event()
        self._waiting.setdefault(record.id, set()).add(answered)
        try:
            return present.approval(await self._wait(record, answered, wait_s))
        finally:
            waiting = self._waiting[record.id]
            waiting.discard(answered)
            if not waiting:
                del self._waiting[record.id]

    async def _wait(
        self, record: ApprovalRecord, answered: asyncio.Event, wait_s: float
    ) -> ApprovalRecord:
        now_is = await self._read(record)
        if now_is.state is not ApprovalState.PENDING:
            return now_is
        try:
            async with asyncio.timeout(wait_s):
                await answered.wait()
        except TimeoutError:
            return now_is
        return await self._read(record)

    async def _read(self, record: ApprovalRecord) -> ApprovalRecord:
        return await self._database.read(
            lambda view: approvals.find(view.conn, record.id) or record
        )

    async def answer(self, code: str, request: AnswerApproval, *, by: Actor) -> Approval:
        """Raises NotFoundError, AlreadyAnsweredError, ConflictError (another digest) and
        InvalidError (a yes for all where there can be none)."""

        def run(tx: Tx) -> Approval:
            record = find_code(tx, code)
            if record.state is not ApprovalState.PENDING:
                raise asking.already_answered(record)
            if request.digest is not None and request.digest != record.digest:
                raise ConflictError(f"{record.code} now asks something else: look at it again")
            verdict = Verdict(
                request.decision, by.name, by.via, request.note, request.answer, request.scope
            )
            return present.approval(asking.answer(tx, self._env, record, verdict))

        return await self._database.write(run)


def find_code(source: Tx | View, code: str) -> ApprovalRecord:
    record = approvals.find_code(source.conn, code)
    if record is None:
        raise NotFoundError(f"no question has the code {code.upper()[:8]}")
    return record


def _visible(view: View, code: str, by: Actor) -> ApprovalRecord:
    record = find_code(view, code)
    if by.role is Role.NODE and record.node != by.name:
        raise ForbiddenError(f"{record.code} is not a question of {by.name}")
    return record
