"""A yes for the rest of a task in the control centre: what is shown, and what the hub gets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from common.wire.approvals import (
    AnswerApproval,
    Approval,
    ApprovalKind,
    ApprovalState,
    Decision,
    Reach,
)
from tests.unit.tui.records import loaded
from tui import orders
from tui.state.approval_page import approval_page

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def question(**fields: Any) -> Approval:
    base = Approval(
        id=1, code="K7", kind=ApprovalKind.TOOL, state=ApprovalState.PENDING, task_id=4,
        summary="Bash: npm test", asked_at=NOW, digest="d" * 64,
    )  # fmt: skip
    return msgspec.structs.replace(base, **fields)


def shown(approval: Approval) -> str:
    lines = approval_page(loaded(), approval, NOW.timestamp(), UTC)
    return "\n".join("".join(piece.text for piece in line) for line in lines)


def test_what_a_yes_for_all_covers_is_shown_where_one_may_be_given() -> None:
    page = shown(question(grantable=True, rules=["Bash(npm test *)"]))
    assert "Bash(npm test *)" in page
    assert "A also for the rest of the task" in page
    assert "A also" not in shown(question())


class Calls:
    def __init__(self) -> None:
        self.bodies: list[AnswerApproval] = []

    async def answer(self, code: str, answer: AnswerApproval) -> Approval:
        self.bodies.append(answer)
        return question(state=ApprovalState.APPROVED, scope=answer.scope)


async def test_it_is_bound_to_what_was_shown_and_said_in_the_confirmation() -> None:
    calls = Calls()
    order = orders.answer(question(), Decision.APPROVE, scope=Reach.TASK)
    sentence = await order.call(calls)  # type: ignore[arg-type]
    assert sentence == "K7 approved: #4 goes on, also for the rest of it"
    assert [(b.scope, b.digest) for b in calls.bodies] == [(Reach.TASK, "d" * 64)]
    await orders.answer(question(), Decision.APPROVE).call(calls)  # type: ignore[arg-type]
    assert calls.bodies[-1].scope is Reach.ONCE
