"""The conversation: texts in, parsed and obeyed once; replies out through the outbox."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

import msgspec

from common.clock import to_datetime, to_epoch
from common.panic import is_panic
from common.wire.events import Entity, Event, Pulse
from common.wire.messages import (
    Bridge,
    BridgeReport,
    ClaimOutbox,
    InboundMessage,
    Message,
    MessageList,
    MessageReceipt,
    MessageState,
    OutboxClaimed,
    OutboxItem,
    OutboxOutcome,
    SendMessage,
)
from hubd.domain.actors import Actor
from hubd.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from hubd.services import journal, obeying, present, revising, submitting
from hubd.services.control import last_messages
from hubd.services.env import Env
from hubd.services.texts import Effect, Text
from hubd.store import conversation, meta
from hubd.store.conversation import InboundRow, OutboxRow
from hubd.store.database import Database
from hubd.store.transaction import Tx, View

CLAIM_S = 60.0

OUTCOMES = {
    "sent": MessageState.SENT,
    "failed": MessageState.FAILED,
    "unknown": MessageState.UNKNOWN,
}


class Conversation:
    def __init__(self, database: Database, env: Env) -> None:
        self._database = database
        self._env = env

    async def receive(self, message: InboundMessage, *, by: Actor) -> MessageReceipt:
        """One effect per guid; a sender that may not command is `ignored` and gets no reply."""
        return await self._database.write(lambda tx: receive(tx, self._env, message))

    async def send(self, request: SendMessage, *, key: str | None, by: Actor) -> MessageList:
        """A line typed by the operator, obeyed as a text; returns it as recorded and the replies
        it caused. Without `chat` it belongs to the last thread, or to one of its own that nothing
        is sent to. Raises ForbiddenError for a thread that may not be written to, and
        IdempotencyMismatchError for a known key with another text or thread."""
        return await self._database.write(
            lambda tx: say(tx, self._env, request, key=key, by=by.name)
        )

    async def messages(self, *, limit: int = 100, before: str | None = None) -> MessageList:
        """The end of the conversation, oldest first; `before` is a message id. Raises
        InvalidError for one that is none."""
        limit = max(1, min(limit, 500))
        return await self._database.read(
            lambda view: MessageList(messages=last_messages(view, limit, _time_of(view, before)))
        )


def receive(tx: Tx, env: Env, message: InboundMessage) -> MessageReceipt:
    """Take a text in. A repeated guid changes nothing (I22); a stranger leaves no trace."""
    known = conversation.find_guid(tx.conn, message.guid)
    if known is not None:
        return MessageReceipt(status="duplicate", task_id=known.task_id)
    if not env.may_command(message.sender) or not _answerable(env, message):
        return MessageReceipt(status="ignored")
    conversation.see_chat(tx.conn, message.chat, message.sender, tx.now)
    row = _record(tx, message)
    if message.change is not None:
        return _revised(tx, env, row, message)
    about = None if message.reply_to is None else conversation.bubble(tx.conn, message.reply_to)
    text = Text(
        chat=message.chat,
        sender=message.sender,
        text=message.text,
        order=message.order,
        tapback=message.tapback,
        about_task=about[0] if about else None,
        about_approval=about[1] if about else None,
        refers=about is not None,
        files=tuple(message.files),
        lost_files=tuple(message.lost_files),
    )
    text = replace(text, waits=revising.is_part(text) and not text.refers)

    def act() -> Effect:
        return revising.belongs(tx, env, row, text) or obeying.do(tx, env, text)

    return MessageReceipt(status="accepted", task_id=_obey(tx, env, row, text, act))


def _revised(tx: Tx, env: Env, row: InboundRow, message: InboundMessage) -> MessageReceipt:
    """What became of an earlier text: no text of its own, and obeyed as none."""
    text = Text(
        chat=message.chat,
        sender=message.sender,
        text=message.text,
        order=message.order,
        files=tuple(message.files),
    )
    earlier = conversation.find_guid(tx.conn, message.changes or "")

    def act() -> Effect:
        if earlier is None or message.change is None:
            return Effect()
        return revising.revise(tx, env, earlier, text, message.change)

    return MessageReceipt(status="accepted", task_id=_obey(tx, env, row, text, act))


def _answerable(env: Env, message: InboundMessage) -> bool:
    """A thread that nothing may be sent to gets no work done either: its answer would be lost
    after it was paid for. An order to stop needs no answer."""
    return env.may_receive(message.chat, message.sender) or is_panic(message.text)


def say(tx: Tx, env: Env, request: SendMessage, *, key: str | None, by: str) -> MessageList:
    """The operator's line: like a text, except that the control centre is where it came from."""
    chat = request.chat or journal.owner_chat(tx) or journal.CONTROL_CHAT
    heard = conversation.chat_sender(tx.conn, chat)
    if chat != journal.CONTROL_CHAT and not env.may_receive(chat, heard):
        raise ForbiddenError("that thread is not on the allow list (bridge.allow in mesh.toml)")
    guid = f"control-{key or secrets.token_hex(16)}"
    known = conversation.find_guid(tx.conn, guid)
    if known is None:
        message = InboundMessage(
            guid=guid, chat=chat, sender=by, text=request.text, sent_at=to_datetime(tx.now)
        )
        row = _record(tx, message)
        before = conversation.last_outbox_id(tx.conn)
        text = Text(chat=chat, sender=by, text=request.text, via="control")
        _obey(tx, env, row, text, lambda: obeying.do(tx, env, text))
        conversation.attribute_replies(tx.conn, before, row.id)
        known = conversation.find_guid(tx.conn, guid) or row
    elif known.text != request.text or request.chat not in (None, known.chat):
        raise submitting.key_used()
    said = conversation.caused_by(tx.conn, known.id)
    return MessageList(
        messages=[present.inbound(known), *(journal.outbox_message(tx, row) for row in said)]
    )


def _record(tx: Tx, message: InboundMessage) -> InboundRow:
    row = InboundRow(
        id=0,
        guid=message.guid,
        chat=message.chat,
        sender=message.sender,
        text=message.text,
        sent_at=to_epoch(message.sent_at),
        received_at=tx.now,
        row_order=message.order,
        reply_to=message.reply_to,
        tapback=message.tapback,
        change=None if message.change is None else message.change.value,
    )
    return replace(row, id=conversation.insert_inbound(tx.conn, row))


def _obey(tx: Tx, env: Env, row: InboundRow, text: Text, act: Callable[[], Effect]) -> int | None:
    effect = obeying.guarded(tx, text, act)
    row = replace(row, task_id=effect.task_id, approval_id=effect.approval_id)
    conversation.update_inbound(tx.conn, row)
    journal.emit_inbound(tx, row)
    if effect.task_id is not None:
        conversation.put_bubble(tx.conn, row.guid, effect.task_id, None)
    if effect.reply is not None:
        journal.queue_text(tx, env, "reply", text.chat, effect.reply, task_id=effect.task_id)
    return effect.task_id


def _time_of(view: View, message_id: str | None) -> float | None:
    if message_id is None:
        return None
    direction, _, number = message_id.partition("-")
    if direction not in ("in", "out") or not number.isdecimal():
        raise InvalidError(f"{message_id[:32]!r} is no message id: use one such as in-12 or out-7")
    if direction == "in":
        heard = conversation.find_inbound(view.conn, int(number))
        return None if heard is None else heard.received_at
    said = conversation.find_outbox(view.conn, int(number))
    return None if said is None else said.created_at


class Outbox:
    def __init__(self, database: Database, env: Env) -> None:
        self._database = database
        self._env = env
        self._news = asyncio.Event()
        database.bus.listen(self._hear)

    def _hear(self, item: Event | Pulse) -> None:
        if isinstance(item, Event) and item.entity is Entity.MESSAGE:
            self._news.set()

    async def claim(self, request: ClaimOutbox, *, by: Actor) -> OutboxClaimed:
        """Long poll for replies to send; a claim that is not resolved in 60 s is offered again."""
        clock = self._database.clock
        end = clock.monotonic() + request.wait_s
        while True:
            self._news.clear()
            claimed = await self._database.write(
                lambda tx: claim_outbox(tx, self._env, request.limit)
            )
            left = end - clock.monotonic()
            if claimed.items or left <= 0:
                return claimed
            try:
                async with asyncio.timeout(min(left, 5.0)):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def resolve(self, item_id: int, request: OutboxOutcome, *, by: Actor) -> Message:
        """The reply as it now stands; the same report again changes nothing. Raises
        NotFoundError, ConflictError (a stale claim), InvalidError (an unknown outcome)."""
        return await self._database.write(
            lambda tx: journal.outbox_message(tx, resolve_outbox(tx, item_id, request))
        )


def claim_outbox(tx: Tx, env: Env, limit: int) -> OutboxClaimed:
    """Lease the oldest replies; one whose thread is no longer allowed fails instead."""
    items: list[OutboxItem] = []
    for row in conversation.claimable(tx.conn, tx.now, limit):
        if not env.may_receive(row.chat, conversation.chat_sender(tx.conn, row.chat)):
            _fail(tx, row, "this thread is not on the allow list")
            continue
        claim = secrets.token_hex(8)
        claimed = replace(
            row,
            state=MessageState.SENDING.value,
            claim=claim,
            claimed_until=tx.now + CLAIM_S,
            claims=row.claims + 1,
            updated_at=tx.now,
        )
        journal.save_outbox(tx, claimed, "message.sending")
        items.append(
            OutboxItem(
                id=row.id,
                chat=row.chat,
                text=row.text,
                task_id=row.task_id,
                claim=claim,
                claims=claimed.claims,
            )
        )
    return OutboxClaimed(items=items)


def _fail(tx: Tx, row: OutboxRow, error: str) -> None:
    failed = replace(row, state=MessageState.FAILED.value, error=error, updated_at=tx.now)
    journal.save_outbox(tx, failed, "message.failed")


def resolve_outbox(tx: Tx, item_id: int, request: OutboxOutcome) -> OutboxRow:
    """What became of a reply. That it was sent is believed from any claim, that it was not only
    from the current one. Messages may find out later that what it sent never arrived: then the
    claim that said `sent` says `failed`. Nothing else undoes `sent`."""
    row = conversation.find_outbox(tx.conn, item_id)
    if row is None:
        raise NotFoundError(f"there is no outbox item {item_id}")
    state = OUTCOMES.get(request.outcome)
    if state is None:
        raise InvalidError("outcome must be sent, failed or unknown")
    if row.state == state or (row.state == MessageState.SENT and not _undoes(row, request)):
        return row
    if state is not MessageState.SENT and request.claim != row.claim:
        raise ConflictError(f"outbox item {item_id} was claimed again: this claim is over")
    guids = list(dict.fromkeys([*([request.guid] if request.guid else []), *request.guids]))
    done = replace(
        row,
        state=state.value,
        claim=request.claim or row.claim,
        guid=guids[0] if guids else row.guid,
        row_order=request.order,
        error=request.error,
        maybe_duplicate=row.maybe_duplicate or request.maybe_duplicate,
        claimed_until=None,
        updated_at=tx.now,
    )
    journal.save_outbox(tx, done, f"message.{state.value}")
    for guid in guids:
        conversation.put_bubble(tx.conn, guid, row.task_id, row.approval_id)
    return done


def _undoes(row: OutboxRow, request: OutboxOutcome) -> bool:
    return request.outcome == "failed" and request.claim == row.claim


class Bridges:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, request: BridgeReport, *, by: Actor) -> Bridge:
        """The bridge's heartbeat; an event only when something changed."""

        def run(tx: Tx) -> Bridge:
            was = journal.get_bridge(tx)
            bridge = Bridge(
                state=request.state,
                problems=request.problems,
                version=request.version,
                reported_at=to_datetime(tx.now),
            )
            meta.put(tx.conn, "bridge", msgspec.json.encode(bridge).decode())
            same_time = msgspec.structs.replace(bridge, reported_at=was.reported_at)
            if same_time != was:
                tx.emit(f"bridge.{request.state}", Entity.BRIDGE, "bridge", bridge)
            return bridge

        return await self._database.write(run)

    async def get(self) -> Bridge:
        return await self._database.read(journal.get_bridge)
