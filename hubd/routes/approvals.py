"""Approvals: look, wait for an answer, answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from common.wire.approvals import AnswerApproval, Approval, ApprovalList, ApprovalState
from hubd.errors import (
    AlreadyAnsweredError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from hubd.routes.api import Api, Call, Nothing, given
from hubd.services.approvals import Approvals


class ApprovalFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: ApprovalState | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class Wait(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait for an answer, in seconds."""

    wait_s: Annotated[float, Meta(ge=0, le=60)] = 0.0


def add(api: Api, approvals: Approvals) -> None:
    """Register the routes."""

    @api.route("GET /v1/approvals", query=ApprovalFilter, answers={200: ApprovalList})
    async def list_approvals(call: Call[Nothing, ApprovalFilter]) -> ApprovalList:
        """List approvals: pending ones oldest first, else the newest first."""
        return await approvals.list(given(call.query.state), call.query.limit)

    @api.route(
        "GET /v1/approvals/<code>",
        query=Wait,
        answers={200: Approval},
        errors=(NotFoundError, ForbiddenError),
        waits=True,
    )
    async def get_approval(call: Call[Nothing, Wait], code: str) -> Approval:
        """Show an approval, at the latest after `wait_s`, answered or not."""
        return await approvals.get(code, wait_s=call.query.wait_s, by=call.actor)

    @api.route(
        "POST /v1/approvals/<code>",
        body=AnswerApproval,
        answers={200: Approval},
        errors=(NotFoundError, AlreadyAnsweredError, ConflictError, InvalidError),
    )
    async def answer_approval(call: Call[AnswerApproval, Nothing], code: str) -> Approval:
        """Answer a question; the first answer wins, the second is told who and when."""
        return await approvals.answer(code, call.body, by=call.actor)
