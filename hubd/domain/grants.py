"""A yes for the rest of a task: what it covers, when it may be given, and what it answers.

It belongs to one task and dies with it: neither a retry nor a follow-up has it. It never answers a
call of high risk, whatever its rule covers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from common.wire.approvals import ApprovalKind, Risk
from hubd.domain.records import ApprovalRecord, GrantRecord, TaskRecord

VIA = "grant"
"""`answered_via` of a question that a grant answered."""

OFFERED_AFTER = 2
"""Yeses to the same rule in one task, after which its question offers one for all."""

ONE_BY_ONE = frozenset({"AskUserQuestion", "ExitPlanMode"})
"""Tools each of whose calls is another question, however alike they look."""


def covers(approval: ApprovalRecord) -> str:
    """What a yes for all would cover: the tool with exactly these rules, or the one call where
    the runner names none."""
    what = sorted(set(approval.rules)) or approval.detail
    return hashlib.sha256(msgspec.json.encode((approval.tool, what))).hexdigest()


def why_not(approval: ApprovalRecord) -> str | None:
    """Why no yes for the rest of the task may be given to it; None when it may."""
    code = approval.code
    if approval.kind is not ApprovalKind.TOOL or approval.tool in ONE_BY_ONE:
        return f"{code} is not about a tool that is used again, so it is answered once: y {code}."
    if approval.risk is Risk.HIGH:
        return f"{code} is high risk and can only be allowed once, with its code: y {code}."
    if not approval.tool or not (approval.rules or approval.detail):
        return f"{code} does not say what it would cover, so it is answered once: y {code}."
    return None


def grant_of(approval: ApprovalRecord, *, by: str, now: float) -> GrantRecord:
    """The grant that a yes for all makes; ask `why_not` first."""
    return GrantRecord(
        code=approval.code,
        tool=approval.tool or "",
        what=", ".join(approval.rules) or approval.summary,
        covers=covers(approval),
        granted_by=by,
        granted_at=now,
    )


def with_grant(task: TaskRecord, grant: GrantRecord) -> tuple[GrantRecord, ...]:
    """The task's grants with this one, the newer in place of one that covers the same."""
    return (*(g for g in task.grants if g.covers != grant.covers), grant)


def answering(task: TaskRecord, approval: ApprovalRecord) -> GrantRecord | None:
    """The grant of this task that answers the question; None when a person must."""
    if approval.task_id != task.id or why_not(approval) is not None:
        return None
    wanted = covers(approval)
    return next((grant for grant in task.grants if grant.covers == wanted), None)


def is_offered(approval: ApprovalRecord, earlier: Iterable[ApprovalRecord]) -> bool:
    """Whether its bubble offers a yes for all: the owner has said yes to the same before."""
    if why_not(approval) is not None:
        return False
    wanted = covers(approval)
    alike = [a for a in earlier if a.id != approval.id and a.state.value == "approved"]
    return sum(a.tool == approval.tool and covers(a) == wanted for a in alike) >= OFFERED_AFTER
