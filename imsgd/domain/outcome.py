"""What an osascript run proves about the text it was to send.

Messages reports success for texts that fail a second later and errors for texts that went out, so
only three things are ever concluded here; the rest is read from chat.db.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

NOT_STARTED_TAG = "mesh-not-started"
"""Put before an error by the script when the text had not been handed over yet."""

NO_SUCH_OBJECT = -1728
NOT_AUTHORISED = -1743
TIMED_OUT = -1712
NOT_RUNNING = -600
LAUNCH_FAILED = -10810

_NUMBER = re.compile(r"\((-?\d+)\)\s*$")


class Attempt(StrEnum):
    HANDED_OVER = "handed over"
    NOT_STARTED = "not started"
    MAY_HAVE_COMPLETED = "may have completed"


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """How an osascript process ended; `status` is None if it could not be run or was killed."""

    status: int | None
    stderr: str
    started: bool = True
    timed_out: bool = False

    @property
    def error_number(self) -> int | None:
        """The number in the last parentheses; the words around it are in the user's language."""
        match = _NUMBER.search(self.stderr.strip())
        return int(match[1]) if match else None


def classify(result: ScriptResult) -> Attempt:
    """Whether sending again could make a second bubble."""
    if not result.started:
        return Attempt.NOT_STARTED
    if result.timed_out:
        return Attempt.MAY_HAVE_COMPLETED
    if result.status == 0:
        return Attempt.HANDED_OVER
    # Without the permission, or without the application, no event was ever delivered.
    if NOT_STARTED_TAG in result.stderr or result.error_number in (NOT_AUTHORISED, NOT_RUNNING):
        return Attempt.NOT_STARTED
    return Attempt.MAY_HAVE_COMPLETED
