"""The conversation: texts in, parsed and obeyed once; replies out through the outbox."""

from __future__ import annotations

from common.wire.messages import (
    Bridge,
    BridgeReport,
    ClaimOutbox,
    InboundMessage,
    Message,
    MessageList,
    MessageReceipt,
    OutboxClaimed,
    OutboxOutcome,
    SendMessage,
)
from common.wire.nodes import Applied
from hubd.domain.actors import Actor


class Conversation:
    async def receive(self, message: InboundMessage, *, by: Actor) -> MessageReceipt:
        """One effect per guid; a sender that may not command is `ignored` and gets no reply."""
        raise NotImplementedError

    async def send(self, request: SendMessage, *, key: str | None, by: Actor) -> Message:
        """A line typed by the operator, obeyed as a text; returns it as recorded. Without `chat`
        it belongs to the last thread. Raises InvalidError when there is none."""
        raise NotImplementedError

    async def messages(self, *, limit: int = 100, before: str | None = None) -> MessageList:
        """The end of the conversation, oldest first; `before` is a message id."""
        raise NotImplementedError


class Outbox:
    async def claim(self, request: ClaimOutbox, *, by: Actor) -> OutboxClaimed:
        """Long poll for replies to send; a claim that is not resolved in 60 s is offered again."""
        raise NotImplementedError

    async def resolve(self, item_id: int, request: OutboxOutcome, *, by: Actor) -> Applied:
        """`applied` or `duplicate`. Raises NotFoundError, ConflictError (a stale claim),
        InvalidError (an unknown outcome)."""
        raise NotImplementedError


class Bridges:
    async def report(self, request: BridgeReport, *, by: Actor) -> Bridge:
        raise NotImplementedError

    async def get(self) -> Bridge:
        raise NotImplementedError
