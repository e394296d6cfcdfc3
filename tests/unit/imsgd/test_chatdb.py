"""Reading a real chat.db of every release, and naming what keeps it from being read."""

from __future__ import annotations

import plistlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imsgd.chatdb import problems
from imsgd.chatdb.database import ChatDatabase
from imsgd.chatdb.summary import Summary, read_summary
from imsgd.domain.rows import to_apple_ns
from imsgd.errors import ChatDbError
from imsgd.simulated.archive import write_body
from imsgd.simulated.schema import Release
from imsgd.simulated.store import MessageStore, NewRow

FRIEND = "+15555550100"


@pytest.fixture(params=list(Release), ids=lambda release: release.name.lower())
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MessageStore]:
    one = MessageStore(tmp_path / "a chat #1?.db", request.param)
    yield one
    one.close()


@pytest.fixture
def database(store: MessageStore) -> Iterator[ChatDatabase]:
    one = ChatDatabase.open(store.path)
    yield one
    one.close()


def test_a_row_reads_the_same_on_every_release(store: MessageStore, database: ChatDatabase) -> None:
    chat = store.direct_chat(FRIEND)
    written = store.insert(NewRow("Hello", time.time(), handle=FRIEND))
    [row] = database.after(0, limit=10)
    assert (row.guid, row.text, row.handle, row.chats) == (written.guid, "Hello", FRIEND, ())
    store.join(written, chat)
    [row] = database.after(0, limit=10)
    [joined] = row.chats
    assert (joined.guid, joined.identifier, joined.style, joined.addresses) == (
        chat,
        FRIEND,
        45,
        {FRIEND},
    )
    assert not joined.is_marked_group


def test_every_commit_of_another_changes_the_version(
    store: MessageStore, database: ChatDatabase
) -> None:
    before = database.data_version()
    assert database.data_version() == before
    written = store.insert(NewRow("Hello", time.time()))
    after = database.data_version()
    assert after != before
    store.update(written.guid, is_sent=1)
    assert database.data_version() != after


def test_columns_that_are_null_count_as_their_default(
    store: MessageStore, database: ChatDatabase
) -> None:
    columns = dict.fromkeys(
        ["associated_message_type", "item_type", "error", "is_sent", "is_spam"], None
    )
    store.insert(NewRow("Hello", time.time(), columns=columns))
    [row] = database.after(0, limit=10)
    assert (row.associated_type, row.item_type, row.error) == (0, 0, 0)
    assert (row.sent, row.unwanted) == (False, False)


def test_the_body_is_believed_before_the_text_column(
    store: MessageStore, database: ChatDatabase
) -> None:
    body = write_body("the body")
    store.insert(NewRow("x", time.time(), columns={"text": "stale", "attributedBody": body}))
    store.insert(NewRow("x", time.time(), columns={"text": "only", "attributedBody": b"junk"}))
    store.insert(NewRow(None, time.time()))
    assert [row.text for row in database.after(0, limit=10)] == ["the body", "only", None]


def test_rows_in_several_chats_come_once(store: MessageStore, database: ChatDatabase) -> None:
    written = store.insert(NewRow("Hello", time.time()))
    store.join(written, store.direct_chat(FRIEND))
    store.join(written, store.group_chat("chat1", [FRIEND, "+15555550177"]))
    [row] = database.after(0, limit=1)
    assert [chat.is_marked_group for chat in row.chats] == [False, True]


def test_looking_back_finds_rows_by_date_whatever_their_number(
    store: MessageStore, database: ChatDatabase
) -> None:
    now = time.time()
    for number, age in ((50, 100), (40, 5), (30, 3), (20, 4000)):
        store.insert(NewRow(f"{number}", now - age, rowid=number))
    found = database.rowids_dated(to_apple_ns(now - 10), up_to=45, limit=10)
    assert found == [40, 30]
    assert database.rowids_dated(to_apple_ns(now - 10), up_to=45, limit=1) == [30]


def test_a_twin_is_older_and_alike_in_date_direction_and_chat(
    store: MessageStore, database: ChatDatabase
) -> None:
    at = time.time()
    chat, other = store.direct_chat(FRIEND), store.direct_chat("+15555550177")
    first, mirrored, elsewhere, later, copy = (
        store.insert(NewRow("yes", when, from_me=from_me))
        for when, from_me in ((at, False), (at, True), (at, False), (at + 1, False), (at, False))
    )
    for written, where in (
        (first, chat),
        (mirrored, chat),
        (elsewhere, other),
        (later, chat),
        (copy, chat),
    ):
        store.join(written, where)
    row = database.with_guid(copy.guid)
    assert row is not None
    assert [twin.guid for twin in database.earlier_twins(row)] == [first.guid]


def test_a_replaced_file_or_log_is_noticed(store: MessageStore, database: ChatDatabase) -> None:
    store.insert(NewRow("Hello", time.time()))
    assert database.max_rowid() == 1
    assert not database.is_replaced()
    store.rebuild(first_rowid=100)
    assert database.is_replaced()
    renewed = ChatDatabase.open(store.path)
    assert renewed.max_rowid() == 100
    assert not renewed.is_replaced()
    renewed.close()


def test_the_reader_cannot_write(database: ChatDatabase) -> None:
    with pytest.raises(sqlite3.OperationalError):
        database._connection.execute("DELETE FROM message")


def _error(code: int, text: str = "refused") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (sqlite3.SQLITE_AUTH, problems.FULL_DISK_ACCESS),
        (sqlite3.SQLITE_CANTOPEN, problems.FULL_DISK_ACCESS),
        (1544, problems.FULL_DISK_ACCESS),  # SQLITE_READONLY_DIRECTORY
        (sqlite3.SQLITE_NOTADB, problems.NOT_A_DATABASE),
        (sqlite3.SQLITE_CORRUPT, problems.NOT_A_DATABASE),
        (sqlite3.SQLITE_IOERR, problems.NOT_A_DATABASE),
        (sqlite3.SQLITE_BUSY, None),
        (sqlite3.SQLITE_LOCKED, None),
    ],
)
def test_every_refusal_is_told_with_its_remedy(
    tmp_path: Path, code: int, problem: str | None
) -> None:
    file = tmp_path / "chat.db"
    file.touch()
    told = problems.of_sqlite(_error(code), file)
    assert (told.id if told else None) == problem
    assert told is None or (told.text and told.remedy)


def test_the_program_to_grant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems.responsible_program({"TERM_PROGRAM": "ghostty"}) == "ghostty"
    assert "python" in problems.responsible_program({})

    class Terminal:
        def parents(self) -> list[Terminal]:
            return [self]

        def exe(self) -> str:
            return "/Applications/Ghostty.app/Contents/MacOS/ghostty"

    monkeypatch.setattr(problems.psutil, "Process", Terminal)
    assert problems.responsible_program({}) == "Ghostty (/Applications/Ghostty.app)"


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ChatDbError) as caught:
        ChatDatabase.open(tmp_path / "chat.db")
    assert caught.value.problem.id == problems.MISSING
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_needed_is_named_when_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "chat.db"
    link = sqlite3.connect(file)
    link.executescript("CREATE TABLE message (guid TEXT, text TEXT);")
    link.close()
    with pytest.raises(ChatDbError, match="attributedBody"):
        ChatDatabase.open(file)


def test_an_edit_shows_its_newest_words() -> None:
    edits = {"0": [{"t": write_body("one")}, {"t": write_body("two")}]}
    assert read_summary(plistlib.dumps({"ec": edits}, fmt=plistlib.FMT_BINARY)) == Summary("two")


@pytest.mark.parametrize(
    "blob", [None, b"", b"bplist00", b"\x00" * 50, plistlib.dumps([1]), plistlib.dumps({"ec": 1})]
)
def test_an_unreadable_summary_says_nothing(blob: bytes | None) -> None:
    assert read_summary(blob) == Summary()
