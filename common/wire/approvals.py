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


class Reach(StrEnum):
    """How far a yes reaches."""

    ONCE = "once"
    TASK = "task"
    """Also what the same rule covers in the rest of the task."""


class Grant(Struct, frozen=True, kw_only=True):
    """A standing yes of one task. `covers` is the digest of the tool and its rules, or of the one
    call where it has none; `code` is the question that was answered so."""

    code: str
    tool: str
    what: str
    covers: str
    granted_by: str
    granted_at: Moment


class Approval(Struct, frozen=True, kw_only=True):
    """A recorded question. `digest` binds it to exactly what will run (SHA-256, hex).

    `rules` are Claude's own for such calls; `grantable`: a yes may be given for the rest of the
    task (`scope`).
    """

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
    rules: list[str] = []
    grantable: bool = False
    scope: Reach = Reach.ONCE


class AnswerApproval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/approvals/{code}`. `answer` is the choice for a question.

    `digest`, when given, must be the one shown: a client binds its answer to what it displayed.
    `scope` `task` goes with a yes to a tool, and is refused for a high risk.
    """

    decision: Decision
    note: Annotated[str, Meta(max_length=2000)] | None = None
    answer: Annotated[str, Meta(max_length=4000)] | None = None
    digest: Annotated[str, Meta(max_length=64)] | None = None
    scope: Reach = Reach.ONCE


class ApprovalList(Struct, frozen=True, kw_only=True):
    """Oldest first when only pending ones were asked for, else newest first."""

    approvals: list[Approval]
