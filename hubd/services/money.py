"""Money: what was spent, grouped, and the day's cap."""

from __future__ import annotations

from enum import StrEnum

from common.wire.admin import Costs as CostsReport
from common.wire.admin import Spend


class GroupBy(StrEnum):
    TASK = "task"
    DAY = "day"
    NODE = "node"
    SPECIALIST = "specialist"
    MODEL = "model"
    CONVERSATION = "conversation"


class Money:
    async def costs(
        self, by: GroupBy, *, since: float | None = None, until: float | None = None
    ) -> CostsReport:
        """Attempts ended in [since, until), epoch seconds, dearest first (days: newest first)."""
        raise NotImplementedError

    async def today(self) -> Spend:
        raise NotImplementedError
