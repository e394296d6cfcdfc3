"""A new task as it is being written: what the fields say becomes the request, or a fault."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from common.wire.tasks import Priority, SubmitTask
from tui.errors import TuiError

BY_POLICY, ASK_FIRST, NO_QUESTION = "policy", "ask", "no"
_APPROVAL = {BY_POLICY: None, ASK_FIRST: True, NO_QUESTION: False}


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields as typed; empty means not said."""

    prompt: str
    specialist: str = ""
    node: str = ""
    project: str = ""
    priority: str = Priority.NORMAL.value
    approval: str = BY_POLICY
    cap_usd: str = ""
    continue_of: int | None = None

    def request(self) -> SubmitTask:
        """The body to send. TuiError says which field is wrong."""
        if not self.prompt.strip():
            raise TuiError("Say first what is to be done.")
        project, _, branch = self.project.strip().partition("@")
        fields = {
            "prompt": self.prompt.strip(),
            "specialist": self.specialist or None,
            "node": self.node or None,
            "project": project or None,
            "branch": branch or None,
            "priority": self.priority,
            "approval": _APPROVAL[self.approval],
            "max_cost_usd": self._cap(),
            "continue_of": self.continue_of,
        }
        try:
            return msgspec.convert(fields, SubmitTask)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            raise TuiError(f"{where.rstrip('`')}: {what}".replace("`", "")) from None

    def _cap(self) -> float | None:
        text = self.cap_usd.strip().lstrip("$").replace(",", ".")
        if not text:
            return None
        try:
            cap = float(text)
        except ValueError:
            raise TuiError(f"The cap is a number of dollars, not {self.cap_usd.strip()}.") from None
        if cap <= 0:
            raise TuiError("The cap must be more than $0.")
        return cap
