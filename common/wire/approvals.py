"""Questions that block a task until a person answered them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from common.wire.moment import Moment


class ApprovalKind(StrEnum):
    GATE = "gate"
    """The whole task waits before its first run."""
    TOOL = "tool"
    """A running attempt wants to use a tool that nothing allows."""
    QUESTION = "question"
    """A running attempt asks its owner something; the answer is one of `choices` or free text."""
    BUDGET = "budget"
    """The day's cap is reached; a yes lifts it for today."""


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    """Its task was cancelled, ended or failed before anybody answered."""


class Decision(StrEnum):
    APPROVE = "approve"
    DENY = "deny"


class Risk(StrEnum):
    NORMAL = "normal"
    HIGH = "high"
    """Answered with its code or in the control centre only, never by a bare yes."""


class Approval(Struct, frozen=True, kw_only=True):
    """A recorded question. `digest` binds it to exactly what will run (SHA-256, hex)."""

    id: int
    code: str
    kind: ApprovalKind
    state: ApprovalState
    task_id: int | None = None
    fence: int | None = None
    node: str | None = None
    summary: str
    detail: str = ""
    choices: list[str] = []
    digest: str = ""
    risk: Risk = Risk.NORMAL
    asked_at: Moment
    answered_at: Moment | None = None
    answered_by: str | None = None
    answered_via: str | None = None
    note: str | None = None
    answer: str | None = None


class AnswerApproval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/approvals/{code}`. `answer` is the choice for a question.

    `digest`, when given, must be the one shown: a client binds its answer to what it displayed.
    """

    decision: Decision
    note: Annotated[str, Meta(max_length=2000)] | None = None
    answer: Annotated[str, Meta(max_length=4000)] | None = None
    digest: Annotated[str, Meta(max_length=64)] | None = None


class ApprovalList(Struct, frozen=True, kw_only=True):
    """Oldest first when only pending ones were asked for, else newest first."""

    approvals: list[Approval]
