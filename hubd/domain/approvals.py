"""Approvals: which tasks need one, what exactly a yes covers, and how a text may answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from common.config.schema import ApprovalConfig
from common.wire.approvals import ApprovalState, Decision, Risk
from common.wire.tasks import SubmitTask
from hubd.domain.records import ApprovalRecord, TaskRecord


class Gate(StrEnum):
    OPEN = "open"
    ASK = "ask"
    REFUSE = "refuse"


def gate(request: SubmitTask, config: ApprovalConfig) -> Gate:
    """Whether a task may run, must be asked about, or is refused; deny wins over everything."""
    if _matches(request.prompt, config.deny):
        return Gate.REFUSE
    if request.approval:
        return Gate.ASK
    if config.policy == "always":
        return Gate.ASK
    if config.policy == "never" or request.approval is False:
        return Gate.OPEN
    gated = {name.lower() for name in config.specialists}
    listed = request.specialist is not None and request.specialist.lower() in gated
    return Gate.ASK if listed or _matches(request.prompt, config.patterns) else Gate.OPEN


def risk_of(text: str, config: ApprovalConfig) -> Risk:
    return Risk.HIGH if _matches(text, config.high_risk) else Risk.NORMAL


def _matches(text: str, patterns: Iterable[str]) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def task_digest(task: TaskRecord) -> str:
    """What a yes to a gated task covers: everything a node is told to do."""
    covered = (
        task.prompt,
        task.specialist,
        task.pinned_node,
        task.requires,
        task.project,
        task.branch,
        task.model,
        task.max_cost_usd,
        task.timeout_s,
        task.continue_of,
        task.files,
    )
    return hashlib.sha256(msgspec.json.encode(covered)).hexdigest()


def question_digest(
    task_id: int, kind: str, tool: str | None, detail: str, rules: Sequence[str] = ()
) -> str:
    """What a yes to a question in flight covers: exactly this call of this task, and for all with
    `rules` exactly those."""
    covered = (task_id, kind, tool, detail, *rules)
    return hashlib.sha256(msgspec.json.encode(covered)).hexdigest()


class Refused(StrEnum):
    """Why a text decided nothing."""

    NONE_PENDING = "none_pending"
    SEVERAL_PENDING = "several_pending"
    NOT_ASKED_YET = "not_asked_yet"
    NEEDS_CODE = "needs_code"
    UNKNOWN_CODE = "unknown_code"
    ALREADY_ANSWERED = "already_answered"


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending approval and where its question stands in the thread the answer came from.

    `asked_here`: it was sent to that thread. `order` is its row in the bridge's database.
    """

    approval: ApprovalRecord
    asked_here: bool
    order: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a text says to which approval; exactly one of the two is set."""

    approval: ApprovalRecord | None = None
    refused: Refused | None = None


def came_first(pending: Pending, text_order: int | None) -> bool:
    """Whether the question was in the thread before the text: by row order where both are known,
    because clocks of phones and Macs differ."""
    if not pending.asked_here:
        return False
    if pending.order is None or text_order is None:
        return True
    return pending.order < text_order


def resolve_bare(pending: Sequence[Pending], decision: Decision, text_order: int | None) -> Answer:
    """`y` or `n` alone: applies only when exactly one is pending and its question came first.

    A high risk needs its code for a yes; a no is always fine.
    """
    if not pending:
        return Answer(refused=Refused.NONE_PENDING)
    if len(pending) > 1:
        return Answer(refused=Refused.SEVERAL_PENDING)
    only = pending[0]
    if not came_first(only, text_order):
        return Answer(refused=Refused.NOT_ASKED_YET)
    return _unless_risky(only.approval, decision)


def resolve_code(found: ApprovalRecord | None) -> Answer:
    """`y K7`: that one, whatever else is pending."""
    if found is None:
        return Answer(refused=Refused.UNKNOWN_CODE)
    if found.state is not ApprovalState.PENDING:
        return Answer(approval=None, refused=Refused.ALREADY_ANSWERED)
    return Answer(approval=found)


def resolve_reference(found: ApprovalRecord, decision: Decision) -> Answer:
    """A tapback or an inline reply on the question itself."""
    if found.state is not ApprovalState.PENDING:
        return Answer(refused=Refused.ALREADY_ANSWERED)
    return _unless_risky(found, decision)


def _unless_risky(approval: ApprovalRecord, decision: Decision) -> Answer:
    if approval.risk is Risk.HIGH and decision is Decision.APPROVE:
        return Answer(refused=Refused.NEEDS_CODE)
    return Answer(approval=approval)
