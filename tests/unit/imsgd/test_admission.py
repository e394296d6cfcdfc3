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
CHAT = Chat(f"iMessage;-;{FRIEND}", FRIEND, 45, frozenset({FRIEND}))
SELF_CHAT = Chat(f"any;-;{ME}", ME, 45)
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
        ({"chats": (CHAT, replace(CHAT, style=43))}, Refusal.GROUP),
        ({"service": "SMS", "handle": "+15555550177"}, Refusal.STRANGER),
        ({"item_type": 1}, Refusal.SYSTEM),
        ({"unwanted": True}, Refusal.SYSTEM),
        ({"retracted": True, "text": None}, Refusal.UNSENT),
        ({"balloon": "com.apple.messages.MSMessageExtensionBalloonPlugin"}, Refusal.APP),
        ({"scheduled": True, "date": to_apple_ns(NOW + 60)}, Refusal.SCHEDULED),
        ({"associated_type": 2000}, Refusal.REACTION),
        ({"associated_type": 3001, "associated_guid": "p:0/X"}, Refusal.REACTION),
        ({"associated_type": 1000, "associated_guid": "p:0/X"}, Refusal.REACTION),
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
        ({"text": "\ufffd"}, Missing.BODY),
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
        (2006, "👍🏽", "👍🏽"),
        (2006, "❤\ufe0f", "❤\ufe0f"),
        (2006, "🎉", "🎉"),
        (2006, None, "emoji"),
        (2007, None, "sticker"),
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


@pytest.mark.parametrize("kind", range(3000, 3008))
def test_taking_a_reaction_back_does_nothing(kind: int) -> None:
    row = replace(ROW, associated_type=kind, associated_guid="p:0/X", associated_emoji="👍")
    assert judge(row, ALLOW, now=NOW) == Drop(Refusal.REACTION)


@pytest.mark.parametrize("service", ["SMS", "RCS", "", "FaceTime"])
def test_another_service_is_refused_and_its_author_named(service: str) -> None:
    verdict = judge(replace(ROW, service=service), ALLOW, now=NOW)
    assert verdict == Drop(Refusal.SERVICE, service or None, FRIEND)


@pytest.mark.parametrize("service", ["iMessage", "iMessageLite", "imessage"])
def test_a_text_over_satellite_is_heard_as_any_other(service: str) -> None:
    """Case `satellite`."""
    chat = replace(CHAT, guid=f"iMessageLite;-;{FRIEND}")
    verdict = judge(replace(ROW, service=service, chats=(chat,)), ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    assert ALLOW.allows_target(verdict.chat)


@pytest.mark.parametrize("service", ["SMS", "RCS", "iMessageLite"])
@pytest.mark.parametrize("text", ["stop all", "Stop everything."])
def test_the_order_to_stop_is_obeyed_over_any_service(service: str, text: str) -> None:
    chat = replace(CHAT, guid=f"{service};-;{FRIEND}")
    row = replace(ROW, service=service, text=text, chats=(chat,))
    verdict = judge(row, ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    assert ALLOW.allows_target(verdict.chat)
    stranger = replace(
        row, handle="+15555550177", chats=(replace(chat, identifier="+15555550177"),)
    )
    assert judge(stranger, ALLOW, now=NOW) == Drop(Refusal.STRANGER)


@pytest.mark.parametrize("guid", [f"SMS;-;{FRIEND}", f"RCS;-;{FRIEND}", "iMessage;-;chat99", "odd"])
def test_a_text_is_answered_by_address_where_its_thread_cannot_be(guid: str) -> None:
    """Found out at the door, and not after the work is paid."""
    verdict = judge(replace(ROW, chats=(replace(CHAT, guid=guid),)), ALLOW, now=NOW)
    assert isinstance(verdict, Admit)
    assert verdict.chat == FRIEND


MAIL = "friend@example.com"
BOTH = AllowList.of(own=[ME], others=[FRIEND, MAIL])


@pytest.mark.parametrize(
    "addresses",
    [
        {FRIEND},
        {FRIEND, MAIL},
        {FRIEND, ME},
        {FRIEND, MAIL, ME},
        {FRIEND, "5555550100"},
        {FRIEND, "05555550100"},
    ],
)
def test_one_person_with_several_addresses_is_no_group(addresses: set[str]) -> None:
    chat = replace(CHAT, addresses=frozenset(addresses))
    assert isinstance(judge(replace(ROW, chats=(chat,)), BOTH, now=NOW), Admit)


@pytest.mark.parametrize("other", ["+15555550177", "5555550177", "50100", "15555550100x"])
def test_somebody_else_in_a_one_to_one_chat_is_named(other: str) -> None:
    chat = replace(CHAT, addresses=frozenset({FRIEND, other}))
    assert judge(replace(ROW, chats=(chat,)), BOTH, now=NOW) == Drop(Refusal.GROUP, other, FRIEND)
    marked = replace(chat, style=43)
    assert judge(replace(ROW, chats=(marked,)), BOTH, now=NOW) == Drop(Refusal.GROUP)


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
