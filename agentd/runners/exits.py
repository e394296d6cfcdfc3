"""How a runner's process ended, as its classification needs it."""

from __future__ import annotations

from dataclasses import dataclass

from common.wire.tasks import Outcome

NOT_RUN_CODES = (126, 127)
"""What a shell, or `env` in a script's first line, reports for a program it could not run."""

SIGNAL_CODES = (129, 130, 137, 143)
"""What a shell reports for a program ended by HUP, INT, KILL or TERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """`interrupted` and `killed` are our own doing; a negative `returncode` is a signal. `fault`:
    our own code failed to follow the program, so its end says nothing."""

    returncode: int
    stderr: str = ""
    interrupted: bool = False
    killed: bool = False
    fault: str | None = None

    @property
    def by_signal(self) -> bool:
        return self.returncode < 0 or self.returncode in SIGNAL_CODES

    @property
    def ours(self) -> tuple[Outcome, str] | None:
        """The verdict when we ended it ourselves."""
        if self.killed:
            return Outcome.KILLED, "killed on request"
        if self.interrupted:
            return Outcome.INTERRUPTED, "interrupted on request"
        return None
