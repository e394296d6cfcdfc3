"""Many years of Messages, made by SQLite itself: a million rows in one transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imsgd.domain.rows import STYLE_DIRECT, STYLE_GROUP, to_apple_ns
from imsgd.simulated.archive import write_body
from imsgd.simulated.schema import Release, create_tables
from tests.contract.imsgd.bench import OWNER

PEOPLE = 200
GROUPS = 20
WORDINGS = 997
YEARS_S = 5 * 365 * 24 * 3600.0
ENDED_S = 3600.0
"""The youngest message of the history is that old."""

# Row 1 is the owner, whose words the bridge acts on; every fifth message is in a group, every
# third is one's own. An own message has no handle.
_MESSAGES = """
INSERT INTO message (guid, attributedBody, handle_id, service, date, is_from_me, is_finished,
    is_sent, is_delivered, cache_roomnames)
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
SELECT hex(randomblob(16)), wording.body,
    CASE WHEN i % 3 = 0 THEN 0 ELSE 2 + i * 31 % (:people - 1) END,
    'iMessage', :first + i * :step, i % 3 = 0, 1, i % 3 = 0, i % 3 = 0,
    CASE WHEN i % 5 = 0 THEN 'group' END
FROM n JOIN wording ON wording.id = i % :wordings ORDER BY i
"""
_JOINS = """
INSERT INTO chat_message_join (chat_id, message_id, message_date)
SELECT CASE
    WHEN cache_roomnames IS NOT NULL THEN :people + 1 + ROWID % :groups
    WHEN handle_id <> 0 THEN handle_id
    ELSE 2 + ROWID * 31 % (:people - 1) END, ROWID, date
FROM message WHERE ROWID > :after
"""


def make(chat_db: Path, messages: int) -> None:
    """Write a new chat.db with so many messages, none of them to be acted on."""
    chat_db.parent.mkdir(parents=True, mode=0o700)
    with closing(sqlite3.connect(chat_db, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        create_tables(connection, Release.TAHOE)
        with _transaction(connection):
            _write_people(connection)
            first = time.time() - ENDED_S - YEARS_S
            _write(connection, messages, first=first, step_s=YEARS_S / messages)


def add(chat_db: Path, messages: int) -> None:
    """Write so many new messages into the file of a running Messages, dated now."""
    with closing(sqlite3.connect(chat_db, isolation_level=None, timeout=30.0)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with _transaction(connection):
            _write(connection, messages, first=time.time(), step_s=0.0)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _write_people(connection: sqlite3.Connection) -> None:
    people = [OWNER, *(f"+1555556{number:04}" for number in range(1, PEOPLE))]
    connection.executemany("INSERT INTO handle (id, service) VALUES (?, 'iMessage')", zip(people))
    direct = [(f"iMessage;-;{one}", STYLE_DIRECT, one) for one in people]
    groups = [(f"iMessage;+;chat{n}", STYLE_GROUP, f"chat{n}") for n in range(GROUPS)]
    connection.executemany(
        "INSERT INTO chat (guid, style, chat_identifier, service_name)"
        " VALUES (?, ?, ?, 'iMessage')",
        direct + groups,
    )
    members = [(PEOPLE + 1 + n, 2 + (n * 7 + k) % 100) for n in range(GROUPS) for k in range(5)]
    connection.executemany(
        "INSERT INTO chat_handle_join (chat_id, handle_id) VALUES (?, ?)",
        [*((row, row) for row in range(1, PEOPLE + 1)), *members],
    )


def _write(connection: sqlite3.Connection, count: int, *, first: float, step_s: float) -> None:
    connection.execute("CREATE TEMP TABLE wording (id INTEGER PRIMARY KEY, body BLOB)")
    connection.executemany(
        "INSERT INTO wording VALUES (?, ?)",
        ((n, write_body(f"{n} words between people, " * (1 + n % 6))) for n in range(WORDINGS)),
    )
    (after,) = connection.execute("SELECT COALESCE(MAX(ROWID), 0) FROM message").fetchone()
    connection.execute(
        _MESSAGES,
        {
            "count": count,
            "people": PEOPLE,
            "wordings": WORDINGS,
            "first": to_apple_ns(first),
            "step": int(step_s * 1e9),
        },
    )
    connection.execute(_JOINS, {"people": PEOPLE, "groups": GROUPS, "after": after})
    connection.execute("DROP TABLE wording")
