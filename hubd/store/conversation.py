"""Texts in, replies out, and which bubble speaks of what."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from hubd.store.rows import Mapper


@dataclass(frozen=True, slots=True)
class InboundRow:
    id: int
    guid: str
    chat: str
    sender: str
    text: str
    sent_at: float
    received_at: float
    row_order: int | None = None
    reply_to: str | None = None
    tapback: str | None = None
    task_id: int | None = None
    approval_id: int | None = None
    change: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """`kind`: final (how a task ended), question, reply, notice. `state` is a `MessageState`."""

    id: int
    kind: str
    chat: str
    text: str
    state: str
    created_at: float
    updated_at: float
    task_id: int | None = None
    approval_id: int | None = None
    claim: str | None = None
    claimed_until: float | None = None
    claims: int = 0
    guid: str | None = None
    row_order: int | None = None
    error: str | None = None
    maybe_duplicate: bool = False
    inbound_id: int | None = None


INBOUND = Mapper("inbound", InboundRow, key="id", generated_key=True, decode={})
OUTBOX = Mapper(
    "outbox", OutboxRow, key="id", generated_key=True, decode={"maybe_duplicate": bool},
    fixed=("kind", "chat", "text", "created_at", "task_id", "approval_id"),
)  # fmt: skip

CLAIMABLE = """
WHERE state = 'pending' OR (state = 'sending' AND claimed_until <= :now)
ORDER BY id LIMIT :limit
"""
PUT_BUBBLE = """
INSERT INTO bubbles (guid, task_id, approval_id) VALUES (:guid, :task_id, :approval_id)
ON CONFLICT (guid) DO NOTHING
"""
BUBBLE = "SELECT task_id, approval_id FROM bubbles WHERE guid = :guid"
SEE_CHAT = """
INSERT INTO chats (chat, sender, last_at) VALUES (:chat, :sender, :at)
ON CONFLICT (chat) DO UPDATE SET sender = excluded.sender, last_at = excluded.last_at
"""
CHAT_SENDER = "SELECT sender FROM chats WHERE chat = :chat"
LAST_CHAT = "SELECT chat FROM chats ORDER BY last_at DESC LIMIT 1"
SET_SHOWN = """
INSERT INTO shown (chat, task_id, chars) VALUES (:chat, :task_id, :chars)
ON CONFLICT (chat, task_id) DO UPDATE SET chars = excluded.chars
"""
SHOWN = "SELECT chars FROM shown WHERE chat = :chat AND task_id = :task_id"
LAST_TASK = "SELECT max(id) FROM tasks WHERE conversation = :chat"
SHIFT_CLAIMS = "UPDATE outbox SET claimed_until = claimed_until + :by WHERE state = 'sending'"
LAST_OUTBOX_ID = "SELECT max(id) FROM outbox"
ATTRIBUTE = "UPDATE outbox SET inbound_id = :inbound_id WHERE id > :after"
OLDEST_PENDING = "SELECT min(created_at) FROM outbox WHERE state IN ('pending', 'sending')"


def insert_inbound(conn: sqlite3.Connection, row: InboundRow) -> int:
    inbound_id = conn.execute(INBOUND.insert, INBOUND.values(row)).lastrowid
    assert inbound_id is not None
    return inbound_id


def update_inbound(conn: sqlite3.Connection, row: InboundRow) -> None:
    conn.execute(INBOUND.update, INBOUND.values(row))


def find_guid(conn: sqlite3.Connection, guid: str) -> InboundRow | None:
    return INBOUND.find(conn, "WHERE guid = :guid", {"guid": guid})


def beside(
    conn: sqlite3.Connection, row: InboundRow
) -> tuple[InboundRow | None, InboundRow | None]:
    """The texts before and after one in its thread, by their place in the bridge's database."""
    if row.row_order is None:
        return None, None
    params = {"chat": row.chat, "order": row.row_order}
    own = "WHERE chat = :chat AND change IS NULL AND tapback IS NULL"
    return (
        INBOUND.find(conn, f"{own} AND row_order < :order ORDER BY row_order DESC LIMIT 1", params),
        INBOUND.find(conn, f"{own} AND row_order > :order ORDER BY row_order LIMIT 1", params),
    )


def last_in_chat(conn: sqlite3.Connection, chat: str, limit: int) -> list[InboundRow]:
    """What was heard in a thread, newest first."""
    return INBOUND.find_all(
        conn, "WHERE chat = :chat ORDER BY id DESC LIMIT :limit", {"chat": chat, "limit": limit}
    )


def last_to_chat(conn: sqlite3.Connection, chat: str, limit: int) -> list[OutboxRow]:
    """What was said in a thread, newest first."""
    return OUTBOX.find_all(
        conn, "WHERE chat = :chat ORDER BY id DESC LIMIT :limit", {"chat": chat, "limit": limit}
    )


def last_inbound(conn: sqlite3.Connection, limit: int, before: float | None) -> list[InboundRow]:
    return INBOUND.find_all(
        conn,
        "WHERE received_at < :before ORDER BY id DESC LIMIT :limit",
        {"before": before if before is not None else 1e18, "limit": limit},
    )


def last_outbox(conn: sqlite3.Connection, limit: int, before: float | None) -> list[OutboxRow]:
    return OUTBOX.find_all(
        conn,
        "WHERE created_at < :before ORDER BY id DESC LIMIT :limit",
        {"before": before if before is not None else 1e18, "limit": limit},
    )


def insert_outbox(conn: sqlite3.Connection, row: OutboxRow) -> int:
    outbox_id = conn.execute(OUTBOX.insert, OUTBOX.values(row)).lastrowid
    assert outbox_id is not None
    return outbox_id


def update_outbox(conn: sqlite3.Connection, row: OutboxRow) -> None:
    conn.execute(OUTBOX.update, OUTBOX.values(row))


def find_outbox(conn: sqlite3.Connection, outbox_id: int) -> OutboxRow | None:
    return OUTBOX.find(conn, "WHERE id = :id", {"id": outbox_id})


def last_outbox_id(conn: sqlite3.Connection) -> int:
    return _one(conn, LAST_OUTBOX_ID, {}) or 0


def attribute_replies(conn: sqlite3.Connection, after: int, inbound_id: int) -> None:
    """Note that the replies newer than `after` were caused by this text."""
    conn.execute(ATTRIBUTE, {"after": after, "inbound_id": inbound_id})


def caused_by(conn: sqlite3.Connection, inbound_id: int) -> list[OutboxRow]:
    return OUTBOX.find_all(conn, "WHERE inbound_id = :id ORDER BY id", {"id": inbound_id})


def claimable(conn: sqlite3.Connection, now: float, limit: int) -> list[OutboxRow]:
    return OUTBOX.find_all(conn, CLAIMABLE, {"now": now, "limit": limit})


def shift_claims(conn: sqlite3.Connection, by: float) -> None:
    """After a jump of the clock: what was left of every claim is left still."""
    conn.execute(SHIFT_CLAIMS, {"by": by})


def questions(conn: sqlite3.Connection, approval_id: int) -> list[OutboxRow]:
    """The bubbles that asked a question."""
    return OUTBOX.find_all(conn, "WHERE approval_id = :id ORDER BY id", {"id": approval_id})


def put_bubble(
    conn: sqlite3.Connection, guid: str, task_id: int | None, approval_id: int | None
) -> None:
    conn.execute(PUT_BUBBLE, {"guid": guid, "task_id": task_id, "approval_id": approval_id})


def bubble(conn: sqlite3.Connection, guid: str) -> tuple[int | None, int | None] | None:
    """Task and approval a bubble speaks of; None for one we do not know."""
    rows = conn.execute(BUBBLE, {"guid": guid}).fetchall()
    return rows[0] if rows else None


def see_chat(conn: sqlite3.Connection, chat: str, sender: str, at: float) -> None:
    conn.execute(SEE_CHAT, {"chat": chat, "sender": sender, "at": at})


def chat_sender(conn: sqlite3.Connection, chat: str) -> str | None:
    """Who last wrote in a thread."""
    value: str | None = _one(conn, CHAT_SENDER, {"chat": chat})
    return value


def last_chat(conn: sqlite3.Connection) -> str | None:
    value: str | None = _one(conn, LAST_CHAT, {})
    return value


def set_shown(conn: sqlite3.Connection, chat: str, task_id: int, chars: int) -> None:
    conn.execute(SET_SHOWN, {"chat": chat, "task_id": task_id, "chars": chars})


def shown(conn: sqlite3.Connection, chat: str, task_id: int) -> int:
    return _one(conn, SHOWN, {"chat": chat, "task_id": task_id}) or 0


def last_task(conn: sqlite3.Connection, chat: str) -> int | None:
    value: int | None = _one(conn, LAST_TASK, {"chat": chat})
    return value


def oldest_unsent(conn: sqlite3.Connection) -> float | None:
    value: float | None = _one(conn, OLDEST_PENDING, {})
    return value


def _one(conn: sqlite3.Connection, sql: str, params: dict[str, Any]) -> Any:
    rows = conn.execute(sql, params).fetchall()
    return rows[0][0] if rows else None


def find_inbound(conn: sqlite3.Connection, inbound_id: int) -> InboundRow | None:
    return INBOUND.find(conn, "WHERE id = :id", {"id": inbound_id})
