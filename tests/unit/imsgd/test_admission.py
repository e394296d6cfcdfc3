"""Which rows are somebody's word: the decision without its history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsgd.domain.admission import Admit, Drop, Missing, Refusal, Wait, judge, target_of
from imsgd.domain.handles import AllowList
from imsgd.domain.rows import URL_BALLOON, Chat, Row, from_apple, to_apple_ns

NOW = 1_800_000_000.0
FRIEND = "+15555550100"
ME = "+15555550101"
ALLOW = AllowList.of(own=[ME], others=[FRIEND])
CHAT = Chat(f"iMessage;-;{FRIEND}", FRIEND, 45, 1)
SELF_CHAT = Chat(f"any;-;{ME}", ME, 45, 0)
ROW = Row(
    rowid=7,
    guid="G",
    date=to_apple_ns(NOW - 1),
    text="Hello",
    from_me=False,
    handle=FRIEND,
    chats=(CHAT,),
)


def test_a_listed_persons_text_is_admitted() -> None:
    verdict = judge(ROW, ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    assert (verdict.chat, verdict.conversation, verdict.sender, verdict.text) == (
        CHAT.guid,
        FRIEND,
        FRIEND,
        "Hello",
    )


@pytest.mark.parametrize("from_me", [True, False])
@pytest.mark.parametrize("handle", [None, ME, "tel:+1 555 555 0101"])
def test_in_ones_own_conversation_either_direction_counts(
    from_me: bool, handle: str | None
) -> None:
    row = replace(ROW, chats=(SELF_CHAT,), from_me=from_me, handle=handle)
    assert isinstance(judge(row, ALLOW, now=NOW), Admit)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"from_me": True}, Refusal.OWN),
        ({"handle": "+15555550177"}, Refusal.STRANGER),
        ({"chats": (replace(SELF_CHAT, identifier="+15555550177"),)}, Refusal.STRANGER),
        ({"chats": (SELF_CHAT,)}, Refusal.STRANGER),
        ({"chats": (replace(CHAT, identifier=None),)}, Refusal.STRANGER),
        ({"chats": (replace(CHAT, style=43),)}, Refusal.GROUP),
        ({"chats": (replace(CHAT, guid="any;+;1234"),)}, Refusal.GROUP),
        ({"chats": (replace(CHAT, participants=2),)}, Refusal.GROUP),
        ({"chats": (CHAT, replace(CHAT, style=43))}, Refusal.GROUP),
        ({"service": "SMS"}, Refusal.SERVICE),
        ({"service": "RCS"}, Refusal.SERVICE),
        ({"service": ""}, Refusal.SERVICE),
        ({"item_type": 1}, Refusal.SYSTEM),
        ({"unwanted": True}, Refusal.SYSTEM),
        ({"retracted": True, "text": None}, Refusal.UNSENT),
        ({"balloon": "com.apple.messages.MSMessageExtensionBalloonPlugin"}, Refusal.APP),
        ({"scheduled": True, "date": to_apple_ns(NOW + 60)}, Refusal.SCHEDULED),
        ({"associated_type": 2000}, Refusal.REACTION),
        ({"associated_type": 3001, "associated_guid": "p:0/X"}, Refusal.REACTION),
        ({"associated_type": 1000, "associated_guid": "p:0/X"}, Refusal.REACTION),
        ({"associated_type": 2007, "associated_guid": "p:0/X"}, Refusal.REACTION),
        ({"associated_type": 2, "associated_guid": "p:0/X"}, Refusal.REACTION),
    ],
)
def test_what_is_not_a_listed_persons_word_is_refused(
    change: dict[str, object], reason: Refusal
) -> None:
    assert judge(replace(ROW, **change), ALLOW, now=NOW) == Drop(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"chats": ()}, Missing.CHAT),
        ({"chats": (replace(CHAT, style=None),)}, Missing.CHAT),
        ({"chats": (replace(CHAT, style=99),)}, Missing.CHAT),
        ({"handle": None}, Missing.SENDER),
        ({"service": None}, Missing.SERVICE),
        ({"text": None}, Missing.BODY),
        ({"text": "\ufffc"}, Missing.BODY),
    ],
)
def test_an_incomplete_row_is_waited_for(change: dict[str, object], missing: Missing) -> None:
    assert judge(replace(ROW, **change), ALLOW, now=NOW) == Wait(missing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "emoji", "tapback"),
    [
        (2000, None, "love"),
        (2001, None, "like"),
        (2002, None, "dislike"),
        (2003, None, "laugh"),
        (2004, None, "emphasise"),
        (2005, None, "question"),
        (2006, "👍", "like"),
        (2006, "👎", "dislike"),
        (2006, "❤\ufe0f", "love"),
    ],
)
def test_a_reaction_names_its_kind_and_target(kind: int, emoji: str | None, tapback: str) -> None:
    row = replace(
        ROW,
        associated_type=kind,
        associated_guid="p:0/TARGET",
        associated_emoji=emoji,
        text="Liked “Hello”",
    )
    verdict = judge(row, ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    assert (verdict.tapback, verdict.reply_to, verdict.text) == (tapback, "TARGET", "")


def test_an_emoji_without_meaning_is_refused() -> None:
    row = replace(ROW, associated_type=2006, associated_guid="p:0/X", associated_emoji="🎉")
    assert judge(row, ALLOW, now=NOW) == Drop(Refusal.REACTION)


def test_a_links_balloon_is_a_text_marked_as_preview() -> None:
    verdict = judge(replace(ROW, balloon=URL_BALLOON), ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    assert verdict.preview


@pytest.mark.parametrize("written", ["p:0/GUID", "p:12/GUID", "bp:GUID", "GUID"])
def test_a_target_is_found_in_every_notation(written: str) -> None:
    assert target_of(written) == "GUID"


def test_dates_in_seconds_and_nanoseconds_mean_the_same() -> None:
    assert from_apple(to_apple_ns(NOW)) == pytest.approx(NOW)
    assert from_apple(int(NOW - 978_307_200)) == pytest.approx(NOW)
    assert from_apple(0) == 0
