"""The tables of chat.db by macOS release, with the triggers plain SQLite can run.

Columns are listed with the release that brought them; an older database lacks the younger ones.
"""

from __future__ import annotations

import sqlite3
from enum import IntEnum


class Release(IntEnum):
    """macOS versions between which the schema changed."""

    BIG_SUR = 11
    VENTURA = 13
    SONOMA = 14
    SEQUOIA = 15
    TAHOE = 26


_INTEGER = "INTEGER DEFAULT 0"

# Columns of `message` after ROWID and guid, each release's additions in Apple's order.
_MESSAGE: dict[Release, dict[str, str]] = {
    Release.BIG_SUR: {
        "text": "TEXT",
        "replace": _INTEGER,
        "service_center": "TEXT",
        "handle_id": _INTEGER,
        "subject": "TEXT",
        "country": "TEXT",
        "attributedBody": "BLOB",
        "version": _INTEGER,
        "type": _INTEGER,
        "service": "TEXT",
        "account": "TEXT",
        "account_guid": "TEXT",
        "error": _INTEGER,
        "date": "INTEGER",
        "date_read": "INTEGER",
        "date_delivered": "INTEGER",
        "is_delivered": _INTEGER,
        "is_finished": _INTEGER,
        "is_emote": _INTEGER,
        "is_from_me": _INTEGER,
        "is_empty": _INTEGER,
        "is_delayed": _INTEGER,
        "is_auto_reply": _INTEGER,
        "is_prepared": _INTEGER,
        "is_read": _INTEGER,
        "is_system_message": _INTEGER,
        "is_sent": _INTEGER,
        "has_dd_results": _INTEGER,
        "is_service_message": _INTEGER,
        "is_forward": _INTEGER,
        "was_downgraded": _INTEGER,
        "is_archive": _INTEGER,
        "cache_has_attachments": _INTEGER,
        "cache_roomnames": "TEXT",
        "was_data_detected": _INTEGER,
        "was_deduplicated": _INTEGER,
        "is_audio_message": _INTEGER,
        "is_played": _INTEGER,
        "date_played": "INTEGER",
        "item_type": _INTEGER,
        "other_handle": _INTEGER,
        "group_title": "TEXT",
        "group_action_type": _INTEGER,
        "share_status": _INTEGER,
        "share_direction": _INTEGER,
        "is_expirable": _INTEGER,
        "expire_state": _INTEGER,
        "message_action_type": _INTEGER,
        "message_source": _INTEGER,
        "associated_message_guid": "TEXT",
        "associated_message_type": _INTEGER,
        "balloon_bundle_id": "TEXT",
        "payload_data": "BLOB",
        "expressive_send_style_id": "TEXT",
        "associated_message_range_location": _INTEGER,
        "associated_message_range_length": _INTEGER,
        "time_expressive_send_played": "INTEGER",
        "message_summary_info": "BLOB",
        "ck_sync_state": _INTEGER,
        "ck_record_id": "TEXT",
        "ck_record_change_tag": "TEXT",
        "destination_caller_id": "TEXT",
        "is_corrupt": _INTEGER,
        "reply_to_guid": "TEXT",
        "sort_id": "INTEGER",
        "is_spam": _INTEGER,
        "has_unseen_mention": _INTEGER,
        "thread_originator_guid": "TEXT",
        "thread_originator_part": "TEXT",
    },
    Release.VENTURA: {
        "syndication_ranges": "TEXT",
        "synced_syndication_ranges": "TEXT",
        "was_delivered_quietly": _INTEGER,
        "did_notify_recipient": _INTEGER,
        "date_retracted": "INTEGER",
        "date_edited": "INTEGER",
        "was_detonated": _INTEGER,
        "part_count": "INTEGER",
        "is_stewie": _INTEGER,
        "is_kt_verified": _INTEGER,
    },
    Release.SONOMA: {
        "is_sos": _INTEGER,
        "is_critical": _INTEGER,
        "bia_reference_id": "TEXT",
        "fallback_hash": "TEXT",
    },
    Release.SEQUOIA: {
        "associated_message_emoji": "TEXT",
        "is_pending_satellite_send": _INTEGER,
        "needs_relay": _INTEGER,
        "schedule_type": _INTEGER,
        "schedule_state": _INTEGER,
        "sent_or_received_off_grid": _INTEGER,
        "date_recovered": _INTEGER,
    },
    Release.TAHOE: {
        "is_time_sensitive": _INTEGER,
        "ck_chat_id": "TEXT",
        "index_state": _INTEGER,
        "filter_action": _INTEGER,
        "filter_sub_action": _INTEGER,
        "is_preview_sent": _INTEGER,
        "is_preview_delivered": _INTEGER,
        "date_preview_sent": "INTEGER",
        "date_preview_delivered": "INTEGER",
        "date_updated": "INTEGER",
        "retry_count": "INTEGER",
    },
}

_KEY = "ROWID INTEGER PRIMARY KEY AUTOINCREMENT"

_OTHER_TABLES = f"""
CREATE TABLE chat ({_KEY}, guid TEXT UNIQUE NOT NULL, style INTEGER, state INTEGER,
    account_id TEXT, properties BLOB, chat_identifier TEXT, service_name TEXT, room_name TEXT,
    account_login TEXT, is_archived INTEGER DEFAULT 0, last_addressed_handle TEXT,
    display_name TEXT, group_id TEXT, is_filtered INTEGER DEFAULT 0);
CREATE TABLE handle ({_KEY} UNIQUE, id TEXT NOT NULL, country TEXT, service TEXT NOT NULL,
    uncanonicalized_id TEXT, person_centric_id TEXT, UNIQUE (id, service));
CREATE TABLE attachment ({_KEY}, guid TEXT UNIQUE NOT NULL, created_date INTEGER DEFAULT 0,
    start_date INTEGER DEFAULT 0, filename TEXT, uti TEXT, mime_type TEXT,
    transfer_state INTEGER DEFAULT 0, is_outgoing INTEGER DEFAULT 0, user_info BLOB,
    transfer_name TEXT, total_bytes INTEGER DEFAULT 0, is_sticker INTEGER DEFAULT 0,
    hide_attachment INTEGER DEFAULT 0, original_guid TEXT UNIQUE NOT NULL);
CREATE TABLE chat_handle_join (chat_id INTEGER REFERENCES chat (ROWID) ON DELETE CASCADE,
    handle_id INTEGER REFERENCES handle (ROWID) ON DELETE CASCADE, UNIQUE (chat_id, handle_id));
CREATE TABLE message_attachment_join (
    message_id INTEGER REFERENCES message (ROWID) ON DELETE CASCADE,
    attachment_id INTEGER REFERENCES attachment (ROWID) ON DELETE CASCADE,
    UNIQUE (message_id, attachment_id));
CREATE TABLE deleted_messages ({_KEY} UNIQUE, guid TEXT NOT NULL);
CREATE TABLE kvtable ({_KEY} UNIQUE, key TEXT UNIQUE NOT NULL, value BLOB NOT NULL);
CREATE TABLE _SqliteDatabaseProperties (key TEXT, value TEXT, UNIQUE (key));

CREATE INDEX message_idx_date ON message (date);
CREATE INDEX message_idx_handle ON message (handle_id, date);
CREATE INDEX message_idx_associated_message ON message (associated_message_guid);
CREATE INDEX message_idx_failed ON message (is_finished, is_from_me, error);
CREATE INDEX chat_idx_chat_identifier ON chat (chat_identifier);
CREATE INDEX chat_message_join_idx_message_id_only ON chat_message_join (message_id);
CREATE INDEX chat_message_join_idx_message_date_id_chat_id
    ON chat_message_join (chat_id, message_date, message_id);

-- A row changes once more when it is joined to its chat.
CREATE TRIGGER after_insert_on_chat_message_join AFTER INSERT ON chat_message_join BEGIN
    UPDATE message SET cache_roomnames = (SELECT group_concat(c.room_name) FROM chat c
        JOIN chat_message_join j ON c.ROWID = j.chat_id WHERE j.message_id = NEW.message_id)
        WHERE ROWID = NEW.message_id;
END;
CREATE TRIGGER after_insert_on_message_attachment_join AFTER INSERT ON message_attachment_join BEGIN
    UPDATE message SET cache_has_attachments = 1 WHERE ROWID = NEW.message_id;
END;
CREATE TRIGGER add_to_deleted_messages AFTER DELETE ON message BEGIN
    INSERT INTO deleted_messages (guid) VALUES (OLD.guid);
END;
CREATE TRIGGER update_message_date_after_update_on_message AFTER UPDATE OF date ON message BEGIN
    UPDATE chat_message_join SET message_date = NEW.date
        WHERE message_id = NEW.ROWID AND message_date <> NEW.date;
END;
CREATE TRIGGER update_last_failed_message_date AFTER UPDATE OF error ON message
    WHEN NEW.error <> 0 BEGIN
    INSERT OR REPLACE INTO kvtable (key, value) VALUES ('lastFailedMessageDate', NEW.date);
    INSERT OR REPLACE INTO kvtable (key, value) VALUES ('lastFailedMessageRowID', NEW.ROWID);
END;
"""

_JOIN = """CREATE TABLE chat_message_join (
    chat_id INTEGER REFERENCES chat (ROWID) ON DELETE CASCADE,
    message_id INTEGER REFERENCES message (ROWID) ON DELETE CASCADE,
    message_date INTEGER DEFAULT 0,{extra}
    PRIMARY KEY (chat_id, message_id));
"""
_JOIN_TAHOE = """
    index_state INTEGER NOT NULL DEFAULT 0, filter_action INTEGER NOT NULL DEFAULT 0,
    filter_sub_action INTEGER NOT NULL DEFAULT 0,"""


def message_columns(release: Release) -> dict[str, str]:
    """Name and type of the columns after ROWID and guid."""
    return {
        name: kind
        for since, columns in _MESSAGE.items()
        if since <= release
        for name, kind in columns.items()
    }


def create_tables(connection: sqlite3.Connection, release: Release) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in message_columns(release).items())
    connection.executescript(
        f"CREATE TABLE message ({_KEY}, guid TEXT UNIQUE NOT NULL, {columns});"
        + _JOIN.format(extra=_JOIN_TAHOE if release >= Release.TAHOE else "")
        + _OTHER_TABLES
    )
