"""Nobody who may command goes unheard in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.config import BridgeConfig
from imsgd.chatdb.database import ChatDatabase
from imsgd.checks import check_chat_db
from imsgd.domain.own import missing_own_handles
from imsgd.domain.unheard import MIXED_PROBLEM, SERVICE_PROBLEM, unheard
from imsgd.simulated.store import MessageStore, NewRow
from tests.unit.imsgd.test_admission import ALLOW, CHAT, FRIEND, ME, NOW, ROW

OTHER = "other@example.com"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MessageStore]:
    one = MessageStore(tmp_path / "chat.db")
    yield one
    one.close()


def test_a_text_over_another_service_is_named_until_one_is_heard() -> None:
    sms = replace(ROW, service="SMS")
    [problem] = unheard([ROW, sms], ALLOW, now=NOW)
    assert problem.id == SERVICE_PROBLEM
    assert "SMS" in problem.text
    assert unheard([sms, ROW], ALLOW, now=NOW) == []
    assert unheard([replace(sms, handle="+15555550177")], ALLOW, now=NOW) == []


def test_who_else_is_in_a_chat_is_named() -> None:
    chat = replace(CHAT, addresses=frozenset({FRIEND, OTHER}))
    [problem] = unheard([replace(ROW, chats=(chat,))], ALLOW, now=NOW)
    assert problem.id == MIXED_PROBLEM
    assert OTHER in problem.text


def test_an_own_address_is_missing_or_right_and_never_called_wrong() -> None:
    [problem] = missing_own_handles(ALLOW, {OTHER, "+15555550102"})
    assert OTHER in problem.text
    assert ME not in problem.text
    assert missing_own_handles(ALLOW, set()) == []
    assert missing_own_handles(ALLOW, {ME}) == []
    only_others = replace(ALLOW, own=frozenset())
    assert missing_own_handles(only_others, {OTHER}) == []
    assert len(missing_own_handles(only_others, {FRIEND})) == 1


def test_the_check_finds_both_in_the_database(store: MessageStore) -> None:
    sent = {"account": f"E:{OTHER}"}
    chat = store.direct_chat(FRIEND)
    store.join(store.insert(NewRow("hi", NOW - 99, from_me=True, columns=sent)), chat)
    store.join(store.insert(NewRow("hello?", NOW - 9, handle=FRIEND, service="RCS")), chat)
    config = BridgeConfig(chat_db=str(store.path), allow=[FRIEND], self_handles=[ME])
    assert [problem.id for problem in check_chat_db(config, NOW)] == [
        "self_handles",
        SERVICE_PROBLEM,
    ]


def test_own_addresses_are_read_from_both_directions(store: MessageStore) -> None:
    for from_me, column, value in (
        (True, "account", "E:Me@Example.com"),
        (False, "destination_caller_id", ME),
        (False, "account", "P:+15555550199"),
        (True, "destination_caller_id", "+15555550198"),
    ):
        store.insert(NewRow("x", NOW, from_me=from_me, columns={column: value}))
    database = ChatDatabase.open(store.path)
    assert database.own_accounts() <= {"me@example.com", ME}
    assert "me@example.com" in database.own_accounts()
    database.close()
