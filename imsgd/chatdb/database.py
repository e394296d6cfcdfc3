"""One open read-only connection to chat.db and the questions asked of it.

Every method blocks and may raise ChatDbError or ChatDbBusyError; `imsgd.chatdb.thread` runs them
off the event loop. Results are always fetched whole: an unfinished cursor would pin an old
snapshot.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from urllib.parse import quote

from common.handles import normalise
from imsgd.chatdb import problems
from imsgd.chatdb.schema import PARTICIPANTS, Schema, probe
from imsgd.chatdb.summary import read_summary, read_transcript
from imsgd.domain.attachments import Attachment
from imsgd.domain.rows import Chat, Row
from imsgd.domain.words import visible
from imsgd.errors import ChatDbBusyError, ChatDbError
from imsgd.typedstream import file_guids, read_text, transcription

_BUSY_MS = 500
_MAX_VARIABLES = 500
_RECENT = 2000
"""So many of the latest messages tell which addresses are our own."""

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="ChatDatabase")


@dataclass(frozen=True, slots=True)
class FileMark:
    """The files a connection was opened on: a replaced one is read on, deaf, by an old handle."""

    main: tuple[int, int]
    wal: tuple[int, int] | None
    shm: tuple[int, int] | None

    @classmethod
    def of(cls, path: Path) -> FileMark | None:
        """None while there is no such file."""
        main = _inode(path)
        if main is None:
            return None
        return cls(main, _inode(Path(f"{path}-wal")), _inode(Path(f"{path}-shm")))

    def replaced_by(self, now: FileMark) -> bool:
        """A log that only appeared or went was made by this connection or needs no reopening."""
        return (
            self.main != now.main
            or (None not in (self.wal, now.wal) and self.wal != now.wal)
            or (None not in (self.shm, now.shm) and self.shm != now.shm)
        )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ChatDbError(problems.full_disk_access(path)) from error
    return info.st_dev, info.st_ino


def _translated(
    method: Callable[Concatenate[D, P], T],
) -> Callable[Concatenate[D, P], T]:
    """Turn SQLite's errors into the bridge's, with the remedy."""

    def guarded(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise as_bridge_error(error, self.path) from error

    return guarded


def as_bridge_error(error: sqlite3.Error, path: Path) -> ChatDbError | ChatDbBusyError:
    problem = problems.of_sqlite(error, path)
    if problem is None:
        return ChatDbBusyError("Messages is busy with its database; trying again.")
    return ChatDbError(problem)


class ChatDatabase:
    """`mode=ro`, never `immutable` (that would not see the write-ahead log), never a checkpoint."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._mark = FileMark.of(path)
        self._schema: Schema | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        if _inode(path) is None:
            raise ChatDbError(problems.missing(path))
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=_BUSY_MS / 1000,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise as_bridge_error(error, path) from error
        # One damaged text, a stranger's perhaps, must not keep all others from being read.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            return cls(connection, path)._prepared()
        except BaseException:
            connection.close()
            raise

    @_translated
    def _prepared(self) -> Self:
        self._connection.execute("PRAGMA query_only = 1")
        self._schema = probe(self._connection)
        self._mark = FileMark.of(self.path)  # the first read may have made the log's index
        return self

    @property
    def schema(self) -> Schema:
        if self._schema is None:
            raise ValueError("this connection was not opened with ChatDatabase.open")
        return self._schema

    def close(self) -> None:
        self._connection.close()

    def is_replaced(self) -> bool:
        """Whether the path now leads to other files than this connection reads."""
        now = FileMark.of(self.path)
        if now is None:
            raise ChatDbError(problems.missing(self.path))
        if self._mark is None or self._mark.replaced_by(now):
            return True
        self._mark = now
        return False

    @_translated
    def data_version(self) -> int:
        """Changes whenever anybody else committed, also an update; costs microseconds."""
        return int(self._one("PRAGMA data_version")[0])

    @_translated
    def identity(self) -> str:
        """Tells this database from a rebuilt or restored one, whose ROWIDs mean other rows."""
        first = self._rows("SELECT guid FROM message ORDER BY ROWID LIMIT 1")
        return f"{os.stat(self.path).st_ino}:{first[0][0] if first else ''}"

    @_translated
    def max_rowid(self) -> int:
        """0 for an empty table."""
        return int(self._one("SELECT COALESCE(MAX(ROWID), 0) FROM message")[0])

    @_translated
    def after(self, rowid: int, *, limit: int) -> list[Row]:
        """The next rows in the order in which they were written."""
        where = "SELECT ROWID FROM message WHERE ROWID > :after ORDER BY ROWID LIMIT :limit"
        return self._select(f"WHERE m.ROWID IN ({where})", {"after": rowid, "limit": limit})

    @_translated
    def rowids_dated(self, since: int, *, up_to: int, limit: int) -> list[int]:
        """The youngest rows dated `since` (Apple's nanoseconds) or later, oldest first."""
        rows = self._rows(
            f"SELECT ROWID FROM message {self.schema.by_date}"
            " WHERE date >= :since AND ROWID <= :up_to ORDER BY date DESC LIMIT :limit",
            {"since": since, "up_to": up_to, "limit": limit},
        )
        return [row[0] for row in reversed(rows)]

    @_translated
    def with_rowids(self, rowids: Iterable[int]) -> list[Row]:
        wanted = sorted(rowids)
        found: list[Row] = []
        for start in range(0, len(wanted), _MAX_VARIABLES):
            part = wanted[start : start + _MAX_VARIABLES]
            marks = ",".join("?" * len(part))
            found += self._select(f"WHERE m.ROWID IN ({marks})", part)
        return found

    @_translated
    def with_guid(self, guid: str) -> Row | None:
        rows = self._select("WHERE m.guid = :guid", {"guid": guid})
        return rows[0] if rows else None

    @_translated
    def dated(self, since: int, *, limit: int) -> list[Row]:
        """Rows dated `since` or later, youngest first cut at `limit`, in order of ROWID."""
        where = (
            f"SELECT ROWID FROM message {self.schema.by_date}"
            " WHERE date >= :since ORDER BY date DESC LIMIT :limit"
        )
        return self._select(f"WHERE m.ROWID IN ({where})", {"since": since, "limit": limit})

    @_translated
    def earlier_twins(self, row: Row) -> list[Row]:
        """Older rows of the same date and direction in a chat of `row`'s."""
        return self._select(
            "WHERE m.date = :date AND m.ROWID < :rowid AND COALESCE(m.is_from_me, 0) = :from_me"
            " AND j.chat_id IN (SELECT chat_id FROM chat_message_join WHERE message_id = :rowid)",
            {"date": row.date, "rowid": row.rowid, "from_me": int(row.from_me)},
        )

    @_translated
    def chat(self, guid: str) -> Chat | None:
        rows = self._rows(
            f"SELECT guid, chat_identifier, style, {PARTICIPANTS.format(chat='chat.ROWID')}"
            " FROM chat WHERE guid = :guid",
            {"guid": guid},
        )
        return self._chat(*rows[0]) if rows else None

    @_translated
    def attachments(self, rowid: int) -> list[Attachment]:
        """The files of a message, also those that only its body names."""
        bodies = self._rows("SELECT attributedBody FROM message WHERE ROWID = ?", (rowid,))
        return self._attachments(rowid, bodies[0][0] if bodies else None)

    def _attachments(self, rowid: int, body: object) -> list[Attachment]:
        sql = self.schema.attachment_select
        if sql is None:
            return []
        guids = file_guids(body if isinstance(body, bytes) else None)
        rows = self._rows(sql, {"rowid": rowid, "guids": json.dumps(guids)})
        return [
            Attachment(filename, name, kind, state, bool(hidden), read_transcript(info), number)
            for filename, name, kind, state, hidden, info, number in rows
        ]

    @_translated
    def own_accounts(self) -> set[str]:
        """The normalised addresses that the latest messages were sent from or came to."""
        return self._own_accounts()

    def _own_accounts(self) -> set[str]:
        found: set[str] = set()
        for column, from_me in self.schema.own_columns.items():
            rows = self._rows(
                f"SELECT DISTINCT {column} FROM (SELECT * FROM message ORDER BY ROWID DESC"
                f" LIMIT {_RECENT}) WHERE COALESCE(is_from_me, 0) = {from_me}"
                f" AND {column} IS NOT NULL"
            )
            found |= {normalise(row[0]) for row in rows if isinstance(row[0], str)}
        return found - {""}

    def _chat(self, guid: str, identifier: str | None, style: int | None, handles: Any) -> Chat:
        """Who is in a chat besides the account itself. With one address there is no question."""
        lines = handles.split("\n") if isinstance(handles, str) else []
        addresses = {normalise(line) or line for line in lines}
        if len(addresses) > 1:
            addresses -= self._own_accounts() - {normalise(identifier or "")}
        return Chat(guid, identifier, style, frozenset(addresses))

    def _one(self, sql: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._rows(sql)[0]
        return row

    def _rows(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def _select(self, where: str, values: dict[str, Any] | Sequence[Any]) -> list[Row]:
        sql = f"{self.schema.select} {where} ORDER BY m.ROWID, c.ROWID"
        records = [
            dict(zip(self.schema.columns, values, strict=True))
            for values in self._rows(sql, values)
        ]
        return list(self._merged(records))

    def _merged(self, records: Iterable[dict[str, Any]]) -> Iterator[Row]:
        """One Row per message; the join repeats a message for each of its chats."""
        current: dict[str, Any] | None = None
        chats: list[Chat] = []
        for record in records:
            if current is not None and record["rowid"] != current["rowid"]:
                yield self._row(current, chats)
                chats = []
            current = record
            if record["chat_guid"] is not None:
                chats.append(
                    self._chat(
                        record["chat_guid"],
                        record["chat_identifier"],
                        record["chat_style"],
                        record["chat_handles"],
                    )
                )
        if current is not None:
            yield self._row(current, chats)

    def _row(self, record: dict[str, Any], chats: list[Chat]) -> Row:
        """A row with its words; those of a voice memo stand beside its placeholder."""
        row = _row(record, chats)
        if visible(row.text) or not row.expects_files or row.retracted:
            return row
        body = record["body"]
        said = transcription(body if isinstance(body, bytes) else None)
        if not said:
            files = self._attachments(row.rowid, body)
            said = " ".join(one.transcript for one in files if one.transcript)
        return replace(row, text=said) if said else row


def _row(record: dict[str, Any], chats: list[Chat]) -> Row:
    body = record["body"]
    text = read_text(body if isinstance(body, bytes) else None)
    if text is None:
        text = _as_text(record["text"])
    summary = read_summary(record["summary"])
    return Row(
        rowid=record["rowid"],
        guid=record["guid"],
        date=record["date"],
        text=text if text or body else summary.text,
        from_me=bool(record["from_me"]),
        service=record["service"],
        handle=record["handle"],
        chats=tuple(chats),
        item_type=record["item_type"],
        associated_type=record["associated_type"],
        associated_guid=record["associated_guid"],
        associated_emoji=record["associated_emoji"],
        balloon=record["balloon"],
        thread_guid=record["thread_guid"],
        reply_to_guid=record["reply_to_guid"],
        error=record["error"],
        sent=bool(record["sent"]),
        delivered=bool(record["delivered"]),
        has_attachments=bool(record["has_attachments"]),
        has_body=bool(body),
        retracted=bool(record["retracted"]) or (summary.unsent and not text and not body),
        edited=bool(record["edited"]) or summary.text is not None,
        scheduled=bool(record["scheduled"]),
        unwanted=bool(record["unwanted"]),
    )


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
