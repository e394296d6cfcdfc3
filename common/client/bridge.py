"""What the iMessage bridge says to the hub."""

from __future__ import annotations

from common.client.http import HubClient
from common.client.node import LONG_POLL_GRACE_S
from common.wire.messages import (
    Bridge,
    BridgeReport,
    ClaimOutbox,
    InboundMessage,
    Message,
    MessageReceipt,
    OutboxClaimed,
    OutboxOutcome,
    StoredFileId,
)


class BridgeApi:
    def __init__(self, client: HubClient) -> None:
        self.client = client

    async def deliver(self, message: InboundMessage) -> MessageReceipt:
        """Hand a text in; repeated with the same guid it has no second effect."""
        return await self.client.call(
            "POST", "/v1/messages", MessageReceipt, body=message, repeatable=True
        )

    async def put_file(self, content: bytes, *, name: str, media_type: str) -> str:
        """Hand in a file that came with a text; its id goes into the message's `files`."""
        stored = await self.client.upload(
            "/v1/files", StoredFileId, content=content, media_type=media_type, params={"name": name}
        )
        return stored.id

    async def claim(self, claim: ClaimOutbox) -> OutboxClaimed:
        """Wait up to `wait_s` for replies to send; each is leased to this bridge."""
        return await self.client.call(
            "POST",
            "/v1/outbox/claim",
            OutboxClaimed,
            body=claim,
            timeout_s=claim.wait_s + LONG_POLL_GRACE_S,
        )

    async def report_sent(self, item_id: int, outcome: OutboxOutcome) -> Message:
        """Say what became of a reply; the same report again changes nothing."""
        return await self.client.call(
            "POST", f"/v1/outbox/{item_id}", Message, body=outcome, repeatable=True
        )

    async def report(self, report: BridgeReport) -> Bridge:
        return await self.client.call(
            "POST", "/v1/bridge/status", Bridge, body=report, repeatable=True
        )
