"""Approvals: the questions and their one answer."""

from __future__ import annotations

import sqlite3

from common.wire.approvals import ApprovalKind, ApprovalState, Reach, Risk
from hubd.domain.records import ApprovalRecord
from hubd.store.rows import Mapper, unpack

APPROVALS = Mapper(
    "approvals",
    ApprovalRecord,
    key="id",
    generated_key=True,
    fixed=(
        "code", "kind", "summary", "asked_at", "task_id", "ask_id", "tool", "detail", "digest",
        "rules",
    ),
    decode={
        "kind": ApprovalKind,
        "state": ApprovalState,
        "choices": unpack,
        "risk": Risk,
        "delivered": bool,
        "rules": unpack,
        "scope": Reach,
    },
)  # fmt: skip

UPDATE_PENDING = f"{APPROVALS.update} AND state = 'pending'"
PENDING = "WHERE state = 'pending' ORDER BY id"
# Nobody was shown the code of what a grant answered.
RECENT_CODES = (
    "SELECT code FROM approvals WHERE answered_via IS NOT 'grant' ORDER BY id DESC LIMIT 100"
)
PENDING_CODES = "SELECT code FROM approvals WHERE state = 'pending'"
DELIVERED = "UPDATE approvals SET delivered = 1 WHERE id = :id"


def insert(conn: sqlite3.Connection, approval: ApprovalRecord) -> int:
    approval_id = conn.execute(APPROVALS.insert, APPROVALS.values(approval)).lastrowid
    assert approval_id is not None
    return approval_id


def answer(conn: sqlite3.Connection, approval: ApprovalRecord) -> bool:
    """Record an answer or a withdrawal; False when it was no longer pending (I12)."""
    cursor = conn.execute(UPDATE_PENDING, APPROVALS.values(approval))
    return cursor.rowcount == 1


def find(conn: sqlite3.Connection, approval_id: int) -> ApprovalRecord | None:
    return APPROVALS.find(conn, "WHERE id = :id", {"id": approval_id})


def find_code(conn: sqlite3.Connection, code: str) -> ApprovalRecord | None:
    """The newest with that code."""
    return APPROVALS.find(
        conn, "WHERE code = :code ORDER BY id DESC LIMIT 1", {"code": code.upper()}
    )


def find_ask(conn: sqlite3.Connection, fence: int, ask_id: str) -> ApprovalRecord | None:
    return APPROVALS.find(
        conn, "WHERE fence = :fence AND ask_id = :ask_id", {"fence": fence, "ask_id": ask_id}
    )


def pending(conn: sqlite3.Connection) -> list[ApprovalRecord]:
    return APPROVALS.find_all(conn, PENDING, {})


def of_task(conn: sqlite3.Connection, task_id: int) -> list[ApprovalRecord]:
    return APPROVALS.find_all(conn, "WHERE task_id = :id ORDER BY id", {"id": task_id})


def listed(
    conn: sqlite3.Connection, state: ApprovalState | None, limit: int
) -> list[ApprovalRecord]:
    if state is ApprovalState.PENDING:
        return APPROVALS.find_all(conn, f"{PENDING} LIMIT :limit", {"limit": limit})
    where = "" if state is None else "WHERE state = :state "
    return APPROVALS.find_all(
        conn,
        f"{where}ORDER BY id DESC LIMIT :limit",
        {"limit": limit} | ({} if state is None else {"state": state}),
    )


def undelivered(conn: sqlite3.Connection, fence: int) -> list[ApprovalRecord]:
    """Answers a running attempt has not been told yet."""
    return APPROVALS.find_all(
        conn,
        "WHERE fence = :fence AND delivered = 0 AND state IN ('approved', 'denied') ORDER BY id",
        {"fence": fence},
    )


def mark_delivered(conn: sqlite3.Connection, approval_id: int) -> None:
    conn.execute(DELIVERED, {"id": approval_id})


def taken_codes(conn: sqlite3.Connection) -> set[str]:
    """Codes not to give out: those pending, and the last ones, so that a late answer to an old
    question is recognised as one."""
    rows = conn.execute(PENDING_CODES).fetchall() + conn.execute(RECENT_CODES).fetchall()
    return {row[0] for row in rows}


def last_answered(conn: sqlite3.Connection, limit: int) -> list[ApprovalRecord]:
    return APPROVALS.find_all(
        conn, "WHERE state <> 'pending' ORDER BY id DESC LIMIT :limit", {"limit": limit}
    )
