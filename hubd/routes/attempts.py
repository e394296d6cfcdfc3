"""Attempts: what a node says about the work it holds, by fence."""

from __future__ import annotations

from common.wire.approvals import Approval
from common.wire.nodes import Applied, Ask, PostOutput, PostResult, StartAttempt
from hubd.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from hubd.errors import FencedError as Fenced
from hubd.routes.api import Api, Call, Nothing
from hubd.services.attempts import Attempts

_ERRORS = (Fenced, ForbiddenError, NotFoundError)


def add(api: Api, attempts: Attempts) -> None:
    """Register the routes."""

    @api.route(
        "POST /v1/attempts/<fence>/start",
        body=StartAttempt,
        answers={200: Applied},
        errors=(*_ERRORS, InvalidError),
    )
    async def start_attempt(call: Call[StartAttempt, Nothing], fence: int) -> Applied:
        """Say that an attempt begins; nothing may be spawned before this was answered 200."""
        return await attempts.start(fence, call.body, by=call.actor)

    @api.route(
        "POST /v1/attempts/<fence>/output",
        body=PostOutput,
        answers={200: Applied},
        errors=(*_ERRORS, ConflictError, InvalidError),
    )
    async def post_output(call: Call[PostOutput, Nothing], fence: int) -> Applied:
        """Append live output; a batch seen before is `duplicate`, one that leaves a gap a 409."""
        return await attempts.output(fence, call.body, by=call.actor)

    @api.route(
        "POST /v1/attempts/<fence>/release",
        answers={200: Applied},
        errors=(*_ERRORS, ConflictError),
    )
    async def release_attempt(call: Call[Nothing, Nothing], fence: int) -> Applied:
        """Give back a lease that was not started; the attempt does not count."""
        return await attempts.release(fence, by=call.actor)

    @api.route(
        "POST /v1/attempts/<fence>/result",
        body=PostResult,
        answers={200: Applied},
        errors=(*_ERRORS, ConflictError, InvalidError),
    )
    async def post_result(call: Call[PostResult, Nothing], fence: int) -> Applied:
        """End an attempt: `applied`, `duplicate` for a repeat, 409 `fenced` for a stale one."""
        return await attempts.result(fence, call.body, by=call.actor)

    @api.route(
        "POST /v1/attempts/<fence>/ask",
        body=Ask,
        answers={200: Approval},
        errors=(*_ERRORS, InvalidError),
    )
    async def ask_question(call: Call[Ask, Nothing], fence: int) -> Approval:
        """Record a question in flight; the same `ask_id` gives the same approval."""
        return await attempts.ask(fence, call.body, by=call.actor)
