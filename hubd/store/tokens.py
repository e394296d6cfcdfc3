"""Tokens: their hashes, never their texts."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from common.wire.admin import Role
from hubd.store.rows import Mapper


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    role: Role
    name: str
    secret_hash: str
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None
    grants: Role | None = None


TOKENS = Mapper("tokens", TokenRow, key="id", decode={"role": Role, "grants": Role})
TOUCH = "UPDATE tokens SET last_used_at = :at WHERE id = :id"


def insert(conn: sqlite3.Connection, row: TokenRow) -> None:
    conn.execute(TOKENS.insert, TOKENS.values(row))


def update(conn: sqlite3.Connection, row: TokenRow) -> None:
    conn.execute(TOKENS.update, TOKENS.values(row))


def find(conn: sqlite3.Connection, token_id: str) -> TokenRow | None:
    return TOKENS.find(conn, "WHERE id = :id", {"id": token_id})


def everyone(conn: sqlite3.Connection) -> list[TokenRow]:
    return TOKENS.find_all(conn, "ORDER BY created_at, id", {})


def touch(conn: sqlite3.Connection, token_id: str, at: float) -> None:
    conn.execute(TOUCH, {"id": token_id, "at": at})
