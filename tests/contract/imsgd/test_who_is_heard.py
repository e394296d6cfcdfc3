"""Authority: exactly the configured handles over iMessage; for everybody else there is silence."""

from __future__ import annotations

import time

from imsgd.simulated.store import NewRow
from tests.contract.imsgd.bench import OWNER, OWNER_CHAT, SELF, STRANGER, Bench, until


async def test_what_the_owner_of_the_mac_writes_to_somebody_is_no_input(bench: Bench) -> None:
    """AC6: in a conversation with somebody else the sender equals the chat's identifier, too."""
    await bench.start()
    store = bench.world.store
    row = NewRow("Shall we have lunch?", time.time(), from_me=True, handle=OWNER)
    store.join(store.insert(row), OWNER_CHAT)
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["after"]


async def test_a_spoofable_service_is_not_heard(bench: Bench) -> None:
    """AC7: and its author, who may command, is shown as unheard until a text is heard again."""
    await bench.start()
    for service in ("SMS", "RCS"):
        await bench.world.text("wipe everything", service=service)
    await bench.hub.until(lambda: bench.hub.problems == ["service_not_heard"])
    assert f"{OWNER} came over" in bench.hub.reports[-1]["problems"][0]["text"]
    await bench.world.text("after", service="iMessageLite")
    await bench.world.text("stop all", service="SMS")
    await bench.hub.heard("after", "stop all")
    assert bench.hub.texts == ["after", "stop all"]
    assert bench.calls == []
    await bench.hub.until(lambda: bench.hub.problems == [])


async def test_one_person_in_a_chat_under_several_addresses_is_heard(bench: Bench) -> None:
    """Messages keeps a handle row for each service, and one for the account's own address."""
    store = bench.world.store
    chat = store.direct_chat(OWNER)
    for service in ("SMS", "RCS"):
        store.execute("INSERT INTO handle (id, service) VALUES (?, ?)", (OWNER, service))
    store.execute(
        "INSERT OR IGNORE INTO chat_handle_join SELECT c.ROWID, h.ROWID FROM chat c, handle h"
        " WHERE c.guid = ? AND h.id = ?",
        (chat, OWNER),
    )
    own = "macs.own@example.com"
    columns = {"account": f"E:{own}", "is_sent": 1}
    sent = NewRow("hello", time.time() - 9999, from_me=True, columns=columns)
    store.join(store.insert(sent), store.direct_chat(STRANGER))
    store._join_handle(chat, own)
    await bench.start()
    await bench.world.text("do you hear me?", chat=chat)
    [message] = await bench.hub.heard("do you hear me?")
    item = await bench.hub.say(message["chat"], "#1 I do")
    assert (await bench.hub.outcome(item))["outcome"] == "sent"


async def test_an_address_of_our_own_that_is_not_configured_is_named(self_bench: Bench) -> None:
    store = self_bench.world.store
    columns = {"account": "E:other@example.com"}
    sent = NewRow("hello", time.time() - 9999, from_me=True, columns=columns)
    store.join(store.insert(sent), store.direct_chat(STRANGER))
    await self_bench.start()
    await self_bench.hub.until(lambda: self_bench.hub.problems == ["self_handles"])
    text = self_bench.hub.reports[-1]["problems"][0]["text"]
    assert "other@example.com" in text
    assert SELF not in text


async def test_strangers_and_groups_get_no_answer_at_all(bench: Bench) -> None:
    """AC7"""
    await bench.start()
    world = bench.world
    await world.text("let me in", sender=STRANGER)
    await world.text("let me in", sender="+1555555010")  # the owner's number, one digit short
    await world.text("let me in", sender="15555550100")
    for prefix in ("iMessage", "any"):
        group = world.store.group_chat(f"chat{prefix}", [OWNER, STRANGER], prefix=prefix)
        await world.text("let us in", sender=OWNER, chat=group)
    # A group that looks like a one-to-one chat but for its members.
    odd = world.store.direct_chat(OWNER, prefix="odd")
    world.store._join_handle(odd, STRANGER)
    await world.text("let us in", sender=OWNER, chat=odd)
    await world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["after"]
    assert bench.calls == []


async def test_nothing_leaves_for_a_conversation_that_is_not_listed(bench: Bench) -> None:
    """AC7, AC23: also when the hub asks for it."""
    bench.world.store.group_chat("chat123456", [OWNER, STRANGER])
    await bench.start()
    for chat in (
        f"iMessage;-;{STRANGER}",
        "iMessage;+;chat123456",
        f"SMS;-;{OWNER}",
        f"iMessage;-;{OWNER};{STRANGER}",
        STRANGER,
        "",
    ):
        outcome = await bench.hub.outcome(await bench.hub.say(chat, "a secret"))
        assert outcome["outcome"] == "failed"
        assert "allow-list" in outcome["error"]
    assert bench.calls == []


async def test_reactions_are_no_texts(bench: Bench) -> None:
    """AC18"""
    await bench.start()
    written = await bench.world.text("Do the dishes")
    await bench.hub.heard("Do the dishes")
    await bench.world.tapback(written.guid, "love")
    await bench.world.tapback(written.guid, "love", remove=True)
    columns = {"associated_message_type": 2006, "associated_message_guid": f"bp:{written.guid}"}
    await bench.world.text("Reacted 🎉 to “Do the dishes”", columns=columns)
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["Do the dishes", "after"]


async def test_a_reaction_to_the_meshs_own_question_is_an_answer(bench: Bench) -> None:
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#3 may I push to main? K7")
    guid = (await bench.hub.outcome(item))["guid"]
    await bench.world.tapback(guid, "dislike")
    await bench.world.tapback(guid, "dislike", remove=True)
    await bench.world.text("after")
    await bench.hub.heard("after")
    [reaction, _] = bench.hub.messages.values()
    assert (reaction["tapback"], reaction["reply_to"], reaction["text"]) == ("dislike", guid, "")


async def test_an_answer_never_overtakes_the_report_of_its_question(bench: Bench) -> None:
    bench.world.timing.delivered_s = 1.0
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#3 may I push to main? K7")
    await until(lambda: bench.world.bubbles)
    await bench.world.tapback(bench.world.bubbles[0].guid, "like")
    reports: list[bool] = []
    bench.hub.on_message = lambda message: reports.append(item in bench.hub.outcomes)
    await bench.hub.until(lambda: reports)
    assert reports == [True]


async def test_an_inline_reply_names_the_message_it_answers(bench: Bench) -> None:
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#3 done")
    guid = (await bench.hub.outcome(item))["guid"]
    await bench.world.text("now add a test", reply_to=guid)
    [message] = await bench.hub.heard("now add a test")
    assert message["reply_to"] == guid


async def test_rows_that_nobody_wrote_are_passed_over(bench: Bench) -> None:
    await bench.start()
    for columns in (
        {"item_type": 2},
        {"is_system_message": 1},
        {"is_spam": 1},
        {"is_corrupt": 1},
        {"balloon_bundle_id": "com.apple.DigitalTouchBalloonProvider"},
        {"associated_message_type": 4000, "associated_message_guid": "X"},
        {"associated_message_type": 3, "associated_message_guid": "X"},
    ):
        await bench.world.text("not a text", columns=columns)
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["after"]


async def test_a_text_that_only_the_bridge_allows_does_not_vanish_in_silence(bench: Bench) -> None:
    bench.hub.ignores = True
    await bench.start()
    await bench.world.text("hello?")
    await bench.hub.until(lambda: bench.hub.problems == ["hub_ignores"])
    assert OWNER in bench.hub.reports[-1]["problems"][0]["text"]
    bench.hub.ignores = False
    await bench.world.text("now?")
    await bench.hub.until(lambda: bench.hub.problems == [])


async def test_a_damaged_text_of_a_stranger_makes_nobody_deaf(bench: Bench) -> None:
    await bench.start()
    store = bench.world.store
    written = store.insert(NewRow("x", time.time(), handle=STRANGER, plain=True))
    store.join(written, store.direct_chat(STRANGER))
    damaged = "UPDATE message SET text = CAST(X'68ff69' AS TEXT) WHERE ROWID = ?"
    store.execute(damaged, (written.rowid,))
    await bench.world.text("my task")
    await bench.hub.heard("my task")
    assert bench.hub.texts == ["my task"]
    await bench.kill()
    await bench.start()
    await bench.world.text("and another")
    await bench.hub.heard("and another")


async def test_a_text_that_follows_one_of_our_bubbles_is_heard(bench: Bench) -> None:
    """`reply_to_guid` names the message before, whatever that is."""
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "#1 done")
    bubble = (await bench.hub.outcome(item))["guid"]
    assert bubble
    await bench.world.text("and now the tests", columns={"reply_to_guid": bubble})
    await bench.hub.heard("and now the tests")
    await bench.world.text("#1 done", columns={"reply_to_guid": bubble})
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["and now the tests", "after"]
