"""What the iMessage bridge says: texts in, replies out, how it fares."""

from __future__ import annotations

from common.wire.messages import (
    Bridge,
    BridgeReport,
    ClaimOutbox,
    InboundMessage,
    Message,
    MessageReceipt,
    OutboxClaimed,
    OutboxOutcome,
)
from hubd.errors import ConflictError, InvalidError, NotFoundError
from hubd.routes.api import Api, Call, Nothing
from hubd.services.conversation import Bridges, Conversation, Outbox


def add(api: Api, conversation: Conversation, outbox: Outbox, bridges: Bridges) -> None:
    """Register the routes."""

    @api.route(
        "POST /v1/messages",
        body=InboundMessage,
        answers={200: MessageReceipt},
        errors=(InvalidError,),
    )
    async def receive_message(call: Call[InboundMessage, Nothing]) -> MessageReceipt:
        """Hand a text in: one effect per guid, whatever is repeated."""
        return await conversation.receive(call.body, by=call.actor)

    @api.route("POST /v1/outbox/claim", body=ClaimOutbox, answers={200: OutboxClaimed}, waits=True)
    async def claim_outbox(call: Call[ClaimOutbox, Nothing]) -> OutboxClaimed:
        """Wait up to `wait_s` for replies to send; each is leased to the bridge."""
        return await outbox.claim(call.body, by=call.actor)

    @api.route(
        "POST /v1/outbox/<item_id>",
        body=OutboxOutcome,
        answers={200: Message},
        errors=(NotFoundError, ConflictError, InvalidError),
    )
    async def resolve_outbox(call: Call[OutboxOutcome, Nothing], item_id: int) -> Message:
        """Say what became of a reply; the same report again changes nothing."""
        return await outbox.resolve(item_id, call.body, by=call.actor)

    @api.route(
        "POST /v1/bridge/status",
        body=BridgeReport,
        answers={200: Bridge},
        errors=(InvalidError,),
    )
    async def report_bridge(call: Call[BridgeReport, Nothing]) -> Bridge:
        """Report how the bridge fares."""
        return await bridges.report(call.body, by=call.actor)
