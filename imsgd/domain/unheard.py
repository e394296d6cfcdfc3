"""What somebody who may command is told when a text of theirs was not heard."""

from __future__ import annotations

from collections.abc import Iterable

from common.wire.messages import BridgeProblem
from imsgd.domain.admission import Admit, Drop, Refusal, judge
from imsgd.domain.handles import AllowList
from imsgd.domain.rows import Row

SERVICE_PROBLEM = "service_not_heard"
MIXED_PROBLEM = "somebody_else_in_chat"


def not_heard(drop: Drop) -> BridgeProblem:
    if drop.reason is Refusal.GROUP:
        return BridgeProblem(
            id=MIXED_PROBLEM,
            text=f"A text of {drop.sender} was not heard: {drop.about} is in its conversation too.",
            remedy="If that is an address of yours, add it to bridge.allow; else write one to one.",
        )
    return BridgeProblem(
        id=SERVICE_PROBLEM,
        text=f"A text of {drop.sender} came over {drop.about or 'no known service'} and was not "
        "acted on.",
        remedy="Send it again as an iMessage. Over other services only `stop all` is obeyed, "
        "because their sender can be forged.",
    )


def unheard(rows: Iterable[Row], allow: AllowList, *, now: float) -> list[BridgeProblem]:
    """Those since whom nothing was heard; `rows` in the order in which they were written."""
    found: dict[str, BridgeProblem] = {}
    for row in rows:
        verdict = judge(row, allow, now=now)
        if isinstance(verdict, Admit):
            found = {}
        elif isinstance(verdict, Drop) and verdict.sender is not None:
            problem = not_heard(verdict)
            found[problem.id] = problem
    return list(found.values())
