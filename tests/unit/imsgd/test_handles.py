"""Who is who: normalised handles, and where a text may leave for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.handles import address_of, normalise
from hubd.domain.handles import allowed_set, is_allowed
from imsgd.domain.handles import SELF, AllowList, is_address

ALLOW = AllowList.of(own=["+1 (555) 555-0101", "Me@Example.com"], others=["tel:+49 170 0000000"])


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+1 (555) 555-0100", "+15555550100"),
        ("P:+15555550100", "+15555550100"),
        ("p:+15555550100", "+15555550100"),
        ("tel:+1.555.555.0100", "+15555550100"),
        ("\u202a+1 555\u00a0555\u20110100\u202c", "+15555550100"),
        ("E:Me@Example.COM", "me@example.com"),
        ("mailto:me@example.com", "me@example.com"),
        ("15555550100", "15555550100"),
        ("22395", "22395"),
        ("Mum", ""),
        ("me@ex\u0430mple.com", "me@ex\u0430mple.com"),
        ("", ""),
        ("urn:biz:abc", ""),
        ("+", ""),
        ("@", ""),
        ("a b@example.com", ""),
        ("+15555550100; rm -rf", ""),
        ("+١٢٣٤٥٦٧٨", ""),
        ("+49 151/1234567", "+491511234567"),
        ("+1\u2013555\u2013123\u20134567", "+15551234567"),
        ("imessage:me@x.org", "me@x.org"),
        ("mü@x.org", "mü@x.org"),
        ("\u212aim@x.org", "\u212aim@x.org"),
        ("me\ufffd@x.org", ""),
        ("\u202ame@x.org\u202c", ""),
    ],
)
def test_a_handle_has_one_comparable_form(written: str, normal: str) -> None:
    assert normalise(written) == normal


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.from_regex(r"\+[1-9][0-9]{6,13}", fullmatch=True), st.sampled_from(" -.()"))
def test_punctuation_does_not_change_a_number(number: str, mark: str) -> None:
    assert normalise(mark.join(number)) == number


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_hub_hears_whom_the_bridge_hears(configured: str, sender: str) -> None:
    at_the_hub = is_allowed(sender, allowed_set([configured]))
    assert at_the_hub == AllowList.of(own=[configured], others=[]).is_listed(sender)


_MAILS = st.from_regex(r"[^\s;,\"'<>@:]{1,8}@[^\s;,\"'<>@:]{1,8}", fullmatch=True)


@given(_MAILS, _MAILS)
def test_two_addresses_that_differ_in_more_than_ascii_capitals_are_two(a: str, b: str) -> None:
    if normalise(a) and normalise(a) == normalise(b):
        assert [x + 32 if 65 <= x <= 90 else x for x in map(ord, a)] == [
            x + 32 if 65 <= x <= 90 else x for x in map(ord, b)
        ]


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_a_listed_handle_is_heard(own: str, other: str) -> None:
    allow = AllowList.of(own=[own], others=[])
    assert allow.is_listed(other) == (normalise(other) != "" and normalise(own) == normalise(other))


def test_a_number_without_its_plus_is_somebody_else() -> None:
    assert not ALLOW.is_listed("15555550101")
    assert not is_address("15555550101")
    assert is_address("+15555550101")


def test_all_conversations_with_oneself_are_one() -> None:
    assert ALLOW.conversation("+15555550101") == ALLOW.conversation("ME@example.com") == SELF
    assert ALLOW.conversation("+491700000000") == "+491700000000"


@pytest.mark.parametrize(
    ("chat", "address"),
    [
        ("iMessage;-;+15555550100", "+15555550100"),
        ("any;-;me@example.com", "me@example.com"),
        ("iMessage;+;chat123", None),
        ("any;+;0123456789abcdef0123456789abcdef", None),
        ("SMS;-;+15555550100", None),
        ("RCS;-;+15555550100", None),
        ("iMessage;-;", None),
        ("iMessage;-;a;-;b@example.com", None),
        ("+15555550100", "+15555550100"),
        ("", None),
    ],
)
def test_only_a_one_to_one_imessage_chat_has_an_address(chat: str, address: str | None) -> None:
    assert address_of(chat) == address


@given(st.text(max_size=60))
def test_no_target_is_allowed_but_the_listed_ones(chat: str) -> None:
    if ALLOW.allows_target(chat):
        address = address_of(chat)
        assert address is not None
        assert normalise(address) in {"+15555550101", "me@example.com", "+491700000000"}
