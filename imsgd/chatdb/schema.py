"""Which columns this macOS has, and the one SELECT built from them.

Apple adds columns with each release and never dropped one a reader needs. Absent columns become
constants, so everything behind this module sees one shape.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from imsgd.chatdb import problems
from imsgd.errors import ChatDbError

_REQUIRED = {
    "message": (
        "guid",
        "text",
        "attributedBody",
        "handle_id",
        "date",
        "is_from_me",
        "service",
        "error",
        "is_sent",
        "is_delivered",
        "is_finished",
        "associated_message_type",
        "item_type",
        "cache_has_attachments",
    ),
    "chat": ("guid", "style", "chat_identifier"),
    "handle": ("id",),
    "chat_message_join": ("chat_id", "message_id"),
    "chat_handle_join": ("chat_id", "handle_id"),
}

# The name a value gets, the columns of `message` it may be read from, and how:
# a flag is up if any of its columns is.
_FLAGS = {
    "item_type": ("item_type",),
    "associated_type": ("associated_message_type",),
    "error": ("error",),
    "sent": ("is_sent",),
    "delivered": ("is_delivered", "date_delivered"),
    "has_attachments": ("cache_has_attachments",),
    "retracted": ("date_retracted",),
    "edited": ("date_edited",),
    "scheduled": ("schedule_type", "schedule_state"),
    "unwanted": (
        "is_system_message",
        "is_service_message",
        "is_spam",
        "is_corrupt",
        "was_detonated",
    ),
}
_OPTIONAL = {
    "summary": "message_summary_info",
    "associated_guid": "associated_message_guid",
    "associated_emoji": "associated_message_emoji",
    "balloon": "balloon_bundle_id",
    "thread_guid": "thread_originator_guid",
    "reply_to_guid": "reply_to_guid",
}
PARTICIPANTS = (
    "(SELECT group_concat(p_h.id, char(10)) FROM chat_handle_join p"
    " JOIN handle p_h ON p_h.ROWID = p.handle_id WHERE p.chat_id = {chat})"
)
"""The addresses of a chat's participants, one per line."""
_NUMBERS = ("item_type", "associated_type", "error")


_OWN = {"account": 1, "destination_caller_id": 0}
"""Columns with one of our own addresses, and the direction (`is_from_me`) in which they hold it.
Not `last_addressed_handle`: other people's numbers were found in it."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The SELECT for this database, to which a WHERE on `m` is added."""

    select: str
    columns: tuple[str, ...]
    has_date_index: bool
    attachment_select: str | None
    """None where the tables for attachments have another shape."""
    own_columns: dict[str, int]
    """The columns that say which of our own addresses a message used, by direction."""

    @property
    def by_date(self) -> str:
        """What makes SQLite use the index; without it a look-back scans the whole table."""
        return "INDEXED BY message_idx_date" if self.has_date_index else ""


def probe(connection: sqlite3.Connection) -> Schema:
    """Look at the tables; ChatDbError names what is missing."""
    tables = {table: _columns(connection, table) for table in _REQUIRED}
    for table, columns in _REQUIRED.items():
        absent = [column for column in columns if column not in tables[table]]
        if absent:
            raise ChatDbError(problems.foreign_schema(table, absent))
    names, expressions = _expressions(tables["message"])
    indexes = {row[1] for row in connection.execute("PRAGMA index_list(message)")}
    return Schema(
        select=_select(expressions),
        columns=names,
        has_date_index="message_idx_date" in indexes,
        attachment_select=_attachment_select(connection),
        own_columns={name: mine for name, mine in _OWN.items() if name in tables["message"]},
    )


def _attachment_select(connection: sqlite3.Connection) -> str | None:
    present = _columns(connection, "attachment")
    joined = {"message_id", "attachment_id"} <= _columns(connection, "message_attachment_join")
    if not joined or not {"filename", "transfer_state"} <= present:
        return None
    hidden = [column for column in ("is_sticker", "hide_attachment") if column in present]
    name = "a.transfer_name" if "transfer_name" in present else "NULL"
    kind = "a.mime_type" if "mime_type" in present else "NULL"
    flags = " OR ".join(f"COALESCE(a.{column}, 0) <> 0" for column in hidden) or "0"
    info = "a.user_info" if "user_info" in present else "NULL"
    unjoined = " OR a.guid IN (SELECT value FROM json_each(:guids))" if "guid" in present else ""
    return (
        f"SELECT a.filename, {name}, {kind}, COALESCE(a.transfer_state, 0), ({flags}), {info},"
        " a.ROWID FROM attachment a WHERE a.ROWID IN"
        " (SELECT attachment_id FROM message_attachment_join WHERE message_id = :rowid)"
        f"{unjoined} ORDER BY a.ROWID"
    )


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _expressions(present: set[str]) -> tuple[tuple[str, ...], list[str]]:
    fields = {
        "rowid": "m.ROWID",
        "guid": "m.guid",
        "date": "COALESCE(m.date, 0)",
        "text": "m.text",
        "body": "m.attributedBody",
        "from_me": "COALESCE(m.is_from_me, 0)",
        "service": "m.service",
        "handle": "h.id",
    }
    for name, column in _OPTIONAL.items():
        fields[name] = f"m.{column}" if column in present else "NULL"
    for name, columns in _FLAGS.items():
        fields[name] = _flag(name, [column for column in columns if column in present])
    fields |= {
        "chat_guid": "c.guid",
        "chat_identifier": "c.chat_identifier",
        "chat_style": "c.style",
        "chat_handles": PARTICIPANTS.format(chat="c.ROWID"),
    }
    return tuple(fields), [f"{expression} AS {name}" for name, expression in fields.items()]


def _flag(name: str, columns: list[str]) -> str:
    if not columns:
        return "0"
    if name in _NUMBERS:
        return f"COALESCE(m.{columns[0]}, 0)"
    return f"({' OR '.join(f'COALESCE(m.{column}, 0) <> 0' for column in columns)})"


def _select(expressions: list[str]) -> str:
    return (
        f"SELECT {', '.join(expressions)} FROM message m"
        " LEFT JOIN handle h ON h.ROWID = m.handle_id"
        " LEFT JOIN chat_message_join j ON j.message_id = m.ROWID"
        " LEFT JOIN chat c ON c.ROWID = j.chat_id"
    )
