"""Money: what was spent, grouped, and the day's cap."""

from __future__ import annotations

from enum import StrEnum

from common.clock import to_datetime_or_none
from common.wire.admin import Costs as CostsReport
from common.wire.admin import Spend
from hubd.domain.money import day_of
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
        self,
        by: GroupBy,
        *,
        since: float | None = None,
        until: float | None = None,
        days: int | None = None,
    ) -> CostsReport:
        """Attempts ended in [since, until), epoch seconds, or running, dearest first (days: newest
        first). `days`: on the last so many days of the hub's calendar, today included."""

        def run(view: View) -> CostsReport:
            period = money.Period(
                since=since or 0.0,
                until=1e18 if until is None else until,
                first_day="" if days is None else _day(view, self._env, days - 1),
            )
            rows, total = money.grouped(view.conn, by.value, period)
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


def _day(view: View, env: Env, back: int) -> str:
    return day_of(view.now, env.zone, back=back)
