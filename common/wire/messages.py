"""The conversation: texts in, replies out, and how the bridge fares."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from common.wire.moment import Moment

Order = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Guid = Annotated[str, Meta(min_length=1, max_length=200)]


class Change(StrEnum):
    """What a message says of an earlier text: it was edited, taken back, or its files came late."""

    EDITED = "edited"
    UNSENT = "unsent"
    FILES = "files"


class InboundMessage(Struct, frozen=True, kw_only=True):
    """A text the bridge admitted. One effect per `guid`, whatever is repeated.

    `reply_to` is the guid of the message it answers inline or reacts to; `tapback` one of love,
    like, dislike, laugh, emphasise, question, sticker, or the emoji itself. `order` is the row's
    position in the bridge's database, for 'the question came first'.
    """

    guid: Guid
    chat: Annotated[str, Meta(min_length=1, max_length=300)]
    sender: Annotated[str, Meta(min_length=1, max_length=300)]
    text: Annotated[str, Meta(max_length=200_000)] = ""
    sent_at: Moment
    reply_to: Guid | None = None
    tapback: Annotated[str, Meta(max_length=32)] | None = None
    order: Order | None = None
    files: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=20)] = []
    """Ids from `POST /v1/files`. A text may be empty when it has some."""
    lost_files: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=20)] = []
    """Names of files that came with it and could not be handed on."""
    change: Change | None = None
    changes: Guid | None = None
    """The guid of the earlier text that `change` is about."""


class StoredFileId(Struct, frozen=True, kw_only=True):
    """The answer of `POST /v1/files`: what to name in a message's `files`."""

    id: str


class MessageReceipt(Struct, frozen=True, kw_only=True):
    """`accepted`, `duplicate` (seen before) or `ignored` (its sender may not command)."""

    status: str
    task_id: int | None = None


class MessageState(StrEnum):
    RECEIVED = "received"
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Message(Struct, frozen=True, kw_only=True):
    """One bubble of a conversation as the hub sees it; `id` is `in-<n>` or `out-<n>`."""

    id: str
    direction: str
    chat: str
    sender: str | None = None
    text: str
    at: Moment
    state: MessageState
    task_id: int | None = None
    approval_code: str | None = None
    guid: str | None = None
    error: str | None = None
    maybe_duplicate: bool = False


class MessageList(Struct, frozen=True, kw_only=True):
    """A part of the conversation, oldest first."""

    messages: list[Message]


class SendMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/conversation`: the operator types a line of the text grammar in the
    control centre; its answers go to the same thread as everybody else's."""

    text: Annotated[str, Meta(min_length=1, max_length=200_000)]
    chat: Annotated[str, Meta(max_length=300)] | None = None


class ClaimOutbox(Struct, frozen=True, kw_only=True):
    """How long to wait for a reply to send, and how many to take at once."""

    wait_s: Annotated[float, Meta(ge=0, le=60)] = 25.0
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class OutboxItem(Struct, frozen=True, kw_only=True):
    """A reply leased to the bridge. `claim` must be given back with its outcome."""

    id: int
    chat: str
    text: str
    task_id: int | None = None
    claim: str
    claims: int = 1
    """How often it was claimed: more than once means an earlier bridge may have sent it."""


class OutboxClaimed(Struct, frozen=True, kw_only=True):
    """The replies to send now, oldest first; empty when none came in time."""

    items: list[OutboxItem] = []


class OutboxOutcome(Struct, frozen=True, kw_only=True):
    """`sent`, `failed` or `unknown` (never sent again by itself). `guids`: every chunk's."""

    outcome: Annotated[str, Meta(max_length=16)]
    guid: Guid | None = None
    guids: Annotated[list[Guid], Meta(max_length=100)] = []
    error: Annotated[str, Meta(max_length=2000)] | None = None
    claim: Annotated[str, Meta(max_length=64)] | None = None
    maybe_duplicate: bool = False
    order: Order | None = None
    """The sent row's position in the bridge's database."""


class BridgeProblem(Struct, frozen=True, kw_only=True):
    """Something that keeps the bridge from hearing or speaking, and what mends it."""

    id: Annotated[str, Meta(max_length=64)]
    text: Annotated[str, Meta(max_length=1000)]
    remedy: Annotated[str, Meta(max_length=1000)] = ""


class BridgeReport(Struct, frozen=True, kw_only=True):
    """The bridge's heartbeat: `ok`, `degraded` or `down`."""

    state: Annotated[str, Meta(max_length=16)]
    problems: Annotated[list[BridgeProblem], Meta(max_length=20)] = []
    version: Annotated[str, Meta(max_length=64)] | None = None


class Bridge(Struct, frozen=True, kw_only=True):
    """What the hub last heard of the bridge; `absent` when it never reported."""

    state: str = "absent"
    problems: list[BridgeProblem] = []
    version: str | None = None
    reported_at: Moment | None = None
