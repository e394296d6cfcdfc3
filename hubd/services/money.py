"""Money: what was spent, grouped, and the day's cap."""

from __future__ import annotations

from enum import StrEnum

from common.clock import to_datetime_or_none
from common.wire.admin import Costs as CostsReport
from common.wire.admin import Spend
from hubd.services import journal
from hubd.services.env import Env
from hubd.store import money
from hubd.store.database import Database
from hubd.store.transaction import View


class GroupBy(StrEnum):
    TASK = "task"
    DAY = "day"
    NODE = "node"
    SPECIALIST = "specialist"
    MODEL = "model"
    CONVERSATION = "conversation"


class Money:
    def __init__(self, database: Database, env: Env) -> None:
        self._database = database
        self._env = env

    async def costs(
        self, by: GroupBy, *, since: float | None = None, until: float | None = None
    ) -> CostsReport:
        """Attempts ended in [since, until), epoch seconds, dearest first (days: newest first)."""

        def run(view: View) -> CostsReport:
            rows, total = money.grouped(view.conn, by.value, since, until)
            return CostsReport(
                by=by.value,
                since=to_datetime_or_none(since),
                until=to_datetime_or_none(until),
                rows=rows,
                total=total,
            )

        return await self._database.read(run)

    async def today(self) -> Spend:
        return await self._database.read(lambda view: journal.spend_of(view, self._env))
