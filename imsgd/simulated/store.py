"""The writing side of chat.db, as Messages does it: message and join in two transactions."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imsgd.domain.rows import STYLE_DIRECT, STYLE_GROUP, to_apple_ns
from imsgd.simulated.archive import write_body
from imsgd.simulated.schema import Release, create_tables, message_columns


@dataclass(frozen=True, slots=True)
class Written:
    rowid: int
    guid: str


@dataclass(frozen=True, slots=True)
class NewRow:
    """A message to write. `body` None leaves both text and body empty; `plain` writes the text
    column instead of the body, as old releases do. `columns` are set as they are."""

    body: str | None
    at: float
    from_me: bool = False
    handle: str | None = None
    service: str = "iMessage"
    plain: bool = False
    rowid: int | None = None
    columns: dict[str, Any] = field(default_factory=dict)


class MessageStore:
    """Keeps its connection open, so that the write-ahead log exists as it does on a Mac."""

    def __init__(self, path: Path, release: Release = Release.TAHOE) -> None:
        self.path = path
        self.release = release
        self._columns = message_columns(release)
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        fresh = not self.path.exists()
        connection = sqlite3.connect(
            self.path, isolation_level=None, timeout=10.0, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        if fresh:
            create_tables(connection, self.release)
        return connection

    def close(self) -> None:
        self._connection.close()

    def restart(self) -> None:
        """Close and open as a restarted Messages does: the log is made anew."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self._connection = self._open()

    def rebuild(self, *, first_rowid: int = 1, keep: int | None = None) -> None:
        """Replace the file by one with the same messages under other row numbers.

        `keep`: only that many of the newest survive, so that the numbers are lower than before.
        """
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.unlink(missing_ok=True)
        other = MessageStore(fresh, self.release)
        self._connection.execute("ATTACH ? AS other", (str(fresh),))
        names = ", ".join(["guid", *self._columns])
        limit = -1 if keep is None else keep
        for table in ("chat", "handle", "chat_handle_join"):
            self._connection.execute(f"INSERT INTO other.{table} SELECT * FROM main.{table}")
        self._connection.execute(
            f"INSERT INTO other.message (ROWID, {names})"
            f" SELECT ROW_NUMBER() OVER (ORDER BY ROWID) + ? - 1, {names} FROM (SELECT * FROM"
            " (SELECT ROWID, * FROM main.message ORDER BY ROWID DESC LIMIT ?) ORDER BY 1)",
            (first_rowid, limit),
        )
        self._connection.execute(
            "INSERT INTO other.chat_message_join (chat_id, message_id, message_date)"
            " SELECT j.chat_id, n.ROWID, j.message_date FROM main.chat_message_join j"
            " JOIN main.message m ON m.ROWID = j.message_id"
            " JOIN other.message n ON n.guid = m.guid"
        )
        self._connection.execute("DETACH other")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        self.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            Path(f"{fresh}{suffix}").unlink(missing_ok=True)
        fresh.replace(self.path)
        self._connection = self._open()

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Any statement, for what no method does."""
        return self._connection.execute(sql, values).fetchall()

    def handle_id(self, handle: str | None, service: str = "iMessage") -> int:
        """The row of an address, made when needed; 0 for none."""
        if handle is None:
            return 0
        self.execute("INSERT OR IGNORE INTO handle (id, service) VALUES (?, ?)", (handle, service))
        found = self.execute(
            "SELECT ROWID FROM handle WHERE id = ? AND service = ?", (handle, service)
        )
        return int(found[0][0])

    def direct_chat(
        self, handle: str, *, prefix: str = "iMessage", participant: bool = True
    ) -> str:
        """The guid of the one-to-one chat with `handle`, made when needed."""
        guid = f"{prefix};-;{handle}"
        self._chat(guid, handle, STYLE_DIRECT, prefix)
        if participant:
            self._join_handle(guid, handle)
        return guid

    def group_chat(self, name: str, handles: list[str], *, prefix: str = "iMessage") -> str:
        guid = f"{prefix};+;{name}"
        self._chat(guid, name, STYLE_GROUP, prefix)
        for handle in handles:
            self._join_handle(guid, handle)
        return guid

    def _chat(self, guid: str, identifier: str, style: int, service: str) -> None:
        self.execute(
            "INSERT OR IGNORE INTO chat (guid, style, chat_identifier, service_name)"
            " VALUES (?, ?, ?, ?)",
            (guid, style, identifier, service),
        )

    def _join_handle(self, guid: str, handle: str) -> None:
        self.execute(
            "INSERT OR IGNORE INTO chat_handle_join (chat_id, handle_id)"
            " SELECT ROWID, ? FROM chat WHERE guid = ?",
            (self.handle_id(handle), guid),
        )

    def has_chat(self, guid: str) -> bool:
        return bool(self.execute("SELECT 1 FROM chat WHERE guid = ?", (guid,)))

    def insert(self, row: NewRow) -> Written:
        """Write a message without its chat."""
        guid = str(uuid.uuid4()).upper()
        values: dict[str, Any] = {
            "guid": guid,
            "text": row.body if row.plain else None,
            "attributedBody": None if row.plain or row.body is None else write_body(row.body),
            "handle_id": self.handle_id(row.handle, row.service),
            "service": row.service,
            "date": to_apple_ns(row.at),
            "is_from_me": int(row.from_me),
            "is_finished": 1,
            **row.columns,
        }
        if row.rowid is not None:
            values["ROWID"] = row.rowid
        known = {
            name: value
            for name, value in values.items()
            if name in self._columns or name in ("guid", "ROWID")
        }
        marks = ", ".join("?" * len(known))
        inserted = self.execute(
            f"INSERT INTO message ({', '.join(known)}) VALUES ({marks}) RETURNING ROWID",
            tuple(known.values()),
        )
        return Written(int(inserted[0][0]), str(known["guid"]))

    def join(self, written: Written, chat: str) -> None:
        """The second transaction: put a message into its chat."""
        self.execute(
            "INSERT INTO chat_message_join (chat_id, message_id, message_date)"
            " SELECT c.ROWID, m.ROWID, m.date FROM chat c, message m"
            " WHERE c.guid = ? AND m.ROWID = ?",
            (chat, written.rowid),
        )

    def attach(self, written: Written, file: Path | None, **columns: Any) -> int:
        """Join a file to a message, as a third transaction; None: not downloaded yet."""
        guid = str(uuid.uuid4()).upper()
        values = {
            "guid": guid,
            "original_guid": guid,
            "filename": None if file is None else str(file),
            "transfer_name": None if file is None else file.name,
            "transfer_state": 0 if file is None else 5,
            **columns,
        }
        marks = ", ".join("?" * len(values))
        inserted = self.execute(
            f"INSERT INTO attachment ({', '.join(values)}) VALUES ({marks}) RETURNING ROWID",
            tuple(values.values()),
        )
        rowid = int(inserted[0][0])
        self.execute(
            "INSERT INTO message_attachment_join (message_id, attachment_id) VALUES (?, ?)",
            (written.rowid, rowid),
        )
        return rowid

    def update(self, guid: str, **columns: Any) -> None:
        """Change a row in place, as delivery, failure, edit and unsend do."""
        known = {name: value for name, value in columns.items() if name in self._columns}
        if known:
            changes = ", ".join(f"{name} = ?" for name in known)
            self.execute(f"UPDATE message SET {changes} WHERE guid = ?", (*known.values(), guid))
