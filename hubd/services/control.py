"""Hold and go, and the state as a whole."""

from __future__ import annotations

from common.clock import to_datetime
from common.version import VERSION
from common.wire.admin import Hold, SetHold
from common.wire.events import Entity, HubInfo, Snapshot
from common.wire.messages import Message
from common.wire.tasks import TERMINAL_STATES, TaskState
from hubd.domain.actors import Actor
from hubd.services import journal, present
from hubd.services.env import Env
from hubd.store import approvals, conversation, events, nodes, tasks
from hubd.store.database import Database
from hubd.store.transaction import Tx, View

FINISHED_SHOWN = 200
MESSAGES_SHOWN = 100
ANSWERED_SHOWN = 20

UNFINISHED = tuple(state for state in TaskState if state not in TERMINAL_STATES)


class Control:
    def __init__(self, database: Database, env: Env, started_at: float) -> None:
        self._database = database
        self._env = env
        self._started_at = started_at

    async def hold(self, request: SetHold, *, by: Actor) -> Hold:
        """Stop or resume dispatch; running work goes on."""
        return await self._database.write(
            lambda tx: journal.set_hold(tx, request.on, request.reason, by.name)
        )

    async def get_hold(self) -> Hold:
        return await self._database.read(journal.get_hold)

    async def snapshot(self) -> Snapshot:
        """One consistent read; `last_event_id` is where its events continue."""
        return await self._database.read(self._snapshot)

    def _snapshot(self, view: View) -> Snapshot:
        breakers = nodes.breakers(view.conn)
        return Snapshot(
            last_event_id=events.event_id(view.epoch, events.last_seq(view.conn)),
            at=to_datetime(view.now),
            hub=HubInfo(
                version=VERSION,
                started_at=to_datetime(self._started_at),
                epoch=view.epoch,
                stale_after_s=self._env.config.hub.stale_after_s,
                disk_full=self._database.disk_full,
            ),
            hold=journal.get_hold(view),
            spend=journal.spend_of(view, self._env),
            bridge=journal.get_bridge(view),
            tasks=[
                present.task(task)
                for task in [
                    *tasks.in_state(view.conn, UNFINISHED),
                    *tasks.last_finished(view.conn, FINISHED_SHOWN),
                ]
            ],
            nodes=[
                present.node(node, breakers.get(node.name) or nodes.breaker(view.conn, node.name))
                for node in nodes.everyone(view.conn)
            ],
            approvals=[
                present.approval(a)
                for a in [
                    *approvals.pending(view.conn),
                    *approvals.last_answered(view.conn, ANSWERED_SHOWN),
                ]
            ],
            accounts=[present.account(a) for a in nodes.accounts(view.conn).values()],
            messages=last_messages(view, MESSAGES_SHOWN, None),
        )

    async def counts(self) -> dict[TaskState, int]:
        """How many tasks are in each state; kept by the database, not counted."""
        return await self._database.read(lambda view: tasks.counts(view.conn))

    async def audit(self, type_: str, *, by: str, detail: dict[str, str]) -> None:
        """Append an audit event: a login failure, a backup."""

        def run(tx: Tx) -> None:
            tx.emit(type_, Entity.AUDIT, by, None, dict(detail))

        await self._database.write(run)


def last_messages(view: View, limit: int, before: float | None) -> list[Message]:
    """The end of the conversation, oldest first, both directions in the order they came."""
    heard = [
        (row.received_at, 0, row.id, present.inbound(row))
        for row in conversation.last_inbound(view.conn, limit, before)
    ]
    said = [
        (row.created_at, 1, row.id, journal.outbox_message(view, row))
        for row in conversation.last_outbox(view.conn, limit, before)
    ]
    merged = sorted([*heard, *said], key=lambda item: item[:3])
    return [message for *_, message in merged[-limit:]]
