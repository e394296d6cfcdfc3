"""Why an attempt is made to stop, and what its result then says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from common.wire.tasks import Outcome


class Reason(StrEnum):
    CANCELLED = "cancelled"
    DRAINED = "drained"
    NO_CONTACT = "no_contact"
    TIMED_OUT = "timed_out"
    SILENT = "silent"
    PARKED = "parked"
    FENCED = "fenced"


OUTCOMES = {
    Reason.CANCELLED: Outcome.KILLED,
    Reason.DRAINED: Outcome.INTERRUPTED,
    Reason.NO_CONTACT: Outcome.INTERRUPTED,
    Reason.TIMED_OUT: Outcome.TASK_ERROR,
    Reason.SILENT: Outcome.TASK_ERROR,
    Reason.PARKED: Outcome.PARKED,
    Reason.FENCED: Outcome.KILLED,
}


@dataclass(frozen=True, slots=True)
class Stop:
    """An order to stop. `detail` is for the reader of the result; `code` names a question."""

    reason: Reason
    detail: str = ""
    code: str | None = None


class StopOrder:
    """The one stop order of an attempt: the first reason counts, haste may be added later."""

    def __init__(self) -> None:
        self.stop: Stop | None = None
        self.given = asyncio.Event()
        self.hurried = asyncio.Event()

    def give(self, stop: Stop, *, hurry: bool = False) -> None:
        if self.stop is None:
            self.stop = stop
        self.given.set()
        if hurry:
            self.hurried.set()
