"""The conversation as the operator sees it, and may type into."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from common.wire.messages import MessageList, SendMessage
from hubd.errors import IdempotencyMismatchError, InvalidError
from hubd.routes.api import Api, Call, Nothing, given
from hubd.services.conversation import Conversation


class MessageFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before` is the id of a message, such as `in-12`."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    before: Annotated[str, Meta(pattern=r"^(in|out)-[0-9]{1,18}$")] | UnsetType = UNSET


def add(api: Api, conversation: Conversation) -> None:
    """Register the routes."""

    @api.route(
        "GET /v1/conversation",
        query=MessageFilter,
        answers={200: MessageList},
        errors=(InvalidError,),
    )
    async def list_messages(call: Call[Nothing, MessageFilter]) -> MessageList:
        """Show the end of the conversation, oldest first."""
        return await conversation.messages(limit=call.query.limit, before=given(call.query.before))

    @api.route(
        "POST /v1/conversation",
        body=SendMessage,
        answers={200: MessageList},
        errors=(InvalidError, IdempotencyMismatchError),
        keyed=True,
    )
    async def send_message(call: Call[SendMessage, Nothing]) -> MessageList:
        """Type a line of the text grammar; answers it and the replies it caused."""
        return await conversation.send(call.body, key=call.idempotency_key, by=call.actor)
