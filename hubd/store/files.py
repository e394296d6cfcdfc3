"""Files that came with a text."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

INSERT = """
INSERT INTO files (id, name, media_type, content, created_at)
VALUES (:id, :name, :media_type, :content, :created_at)
"""
FIND = "SELECT name, media_type, content FROM files WHERE id = :id"
NAME = "SELECT name FROM files WHERE id = :id"
FORGET = "DELETE FROM files WHERE created_at < :at"


def insert(
    conn: sqlite3.Connection, file_id: str, name: str, media_type: str, content: bytes, at: float
) -> None:
    conn.execute(
        INSERT,
        {
            "id": file_id,
            "name": name,
            "media_type": media_type,
            "content": content,
            "created_at": at,
        },
    )


def find(conn: sqlite3.Connection, file_id: str) -> tuple[str, str, bytes] | None:
    """Name, media type and content."""
    rows = conn.execute(FIND, {"id": file_id}).fetchall()
    return rows[0] if rows else None


def names(conn: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """The names of those that are still kept."""
    found = [conn.execute(NAME, {"id": file_id}).fetchall() for file_id in ids]
    return [rows[0][0] for rows in found if rows]


def forget(conn: sqlite3.Connection, older_than: float) -> int:
    return conn.execute(FORGET, {"at": older_than}).rowcount
