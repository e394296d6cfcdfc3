"""Attempts: what a node says about the work it holds. The fence decides, never the clock."""

from __future__ import annotations

from common.wire.approvals import Approval
from common.wire.nodes import (
    Applied,
    Ask,
    Claim,
    Claimed,
    PostOutput,
    PostResult,
    StartAttempt,
)
from hubd.domain.actors import Actor


class Attempts:
    """`by` is always a node; an attempt of another node raises ForbiddenError."""

    async def claim(self, node: str, request: Claim) -> Claimed:
        """Long poll for up to `wait_s`; empty when nothing came. Cancelling the call gives back
        what it was about to return. Raises NotFoundError when the node never registered."""
        raise NotImplementedError

    async def start(self, fence: int, request: StartAttempt, *, by: Actor) -> Applied:
        """Only after this returned may a process be spawned. Raises FencedError."""
        raise NotImplementedError

    async def output(self, fence: int, request: PostOutput, *, by: Actor) -> Applied:
        """Append live output; a batch that was seen is `duplicate`. Raises FencedError."""
        raise NotImplementedError

    async def release(self, fence: int, *, by: Actor) -> Applied:
        """Give a lease back that was not started. Raises FencedError."""
        raise NotImplementedError

    async def result(self, fence: int, request: PostResult, *, by: Actor) -> Applied:
        """End an attempt. Raises FencedError after having recorded what it cost."""
        raise NotImplementedError

    async def ask(self, fence: int, request: Ask, *, by: Actor) -> Approval:
        """Record a question in flight; the same `ask_id` gives the same approval."""
        raise NotImplementedError
