"""Approvals: recorded questions; the first answer wins and the second is told so."""

from __future__ import annotations

from common.wire.approvals import AnswerApproval, Approval, ApprovalList, ApprovalState
from hubd.domain.actors import Actor


class Approvals:
    async def list(self, state: ApprovalState | None = None, limit: int = 200) -> ApprovalList:
        """Oldest first while pending, else newest first."""
        raise NotImplementedError

    async def get(self, code: str, *, wait_s: float = 0.0, by: Actor) -> Approval:
        """The newest approval with that code; waits up to `wait_s` for its answer. A node sees
        only those of its own attempts. Raises NotFoundError, ForbiddenError."""
        raise NotImplementedError

    async def answer(self, code: str, request: AnswerApproval, *, by: Actor) -> Approval:
        """Raises NotFoundError, AlreadyAnsweredError, ConflictError (another digest)."""
        raise NotImplementedError
