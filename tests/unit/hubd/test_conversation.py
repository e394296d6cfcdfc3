"""What the owner's phone can say to the hub, and what comes back."""

from __future__ import annotations

import pytest

from common.wire.approvals import Decision
from common.wire.messages import ClaimOutbox, OutboxOutcome, SendMessage
from common.wire.nodes import Ask
from common.wire.tasks import TaskState
from hubd.domain import grammar
from hubd.errors import (
    ConflictError,
    ForbiddenError,
    IdempotencyMismatchError,
    InvalidError,
)
from tests.unit.hubd.hub import BRIDGE, CHAT, ME, OPERATOR, Hub, node_actor, projects


async def fleet(hub: Hub) -> None:
    await hub.node("Archon", slots=5, specialists=["researcher"], facts=projects("web"))
    await hub.node("rex", slots=2)


async def test_a_text_becomes_a_task_and_its_answer_comes_back(hub: Hub) -> None:
    await fleet(hub)
    assert await hub.say("tidy the repo") == ["#1 taken: Archon has room."]
    await hub.run_one("Archon", text="All tidy.", cost_usd=0.41)
    assert await hub.replies() == ["#1 done · 0s · $0.41 · Archon\nAll tidy."]


async def test_a_task_is_said_to_have_more_only_where_it_has(hub: Hub) -> None:
    await fleet(hub)
    for text in ("All tidy.", "line\n" * 9):
        await hub.text("tidy")
        await hub.run_one("rex", text=text)
    await hub.replies()
    (short,) = await hub.say("#1")
    (long,) = await hub.say("#2")
    assert "more 1" not in short
    assert long.endswith("more 2 for the rest")


async def test_the_sender_is_told_its_place_when_nobody_has_room(hub: Hub) -> None:
    assert await hub.say("first") == ["#1 queued, next in line: no node has registered yet."]
    assert await hub.say("second") == ["#2 queued, 1 ahead: no node has registered yet."]


async def test_prefixes_choose_specialist_node_project_and_urgency(hub: Hub) -> None:
    await fleet(hub)
    await hub.text("! @researcher on archon in web@dev find out")
    task = await hub.task(1)
    assert (task.specialist, task.pinned_node, task.project, task.branch, task.priority.value) == (
        "researcher", "Archon", "web", "dev", "high",
    )  # fmt: skip


async def test_an_unknown_specialist_starts_nothing(hub: Hub) -> None:
    await fleet(hub)
    assert await hub.say("@nobody do it") == [
        "No node has a specialist @nobody. agents lists them."
    ]
    assert await hub.rows("SELECT count(*) FROM tasks") == [(0,)]


async def test_a_repeated_guid_has_one_effect(hub: Hub) -> None:
    first = await hub.text("tidy", guid="g")
    again = await hub.text("tidy", guid="g")
    assert (first.status, again.status, again.task_id) == ("accepted", "duplicate", first.task_id)
    assert len(await hub.replies()) == 1


@pytest.mark.parametrize("sender", ["+491511234568", "01511234567", "Mum", "me@example.com"])
async def test_a_stranger_gets_no_task_no_reply_and_no_trace(hub: Hub, sender: str) -> None:
    receipt = await hub.text("tidy", sender=sender)
    assert receipt.status == "ignored"
    assert await hub.replies() == []
    for table in ("tasks", "inbound", "outbox", "chats"):
        assert await hub.rows(f"SELECT count(*) FROM {table}") == [(0,)]


async def test_a_thread_that_may_not_be_answered_gets_no_work_done(hub: Hub) -> None:
    elsewhere = "iMessage;-;+15550001111"
    assert (await hub.text("tidy", chat=elsewhere)).status == "ignored"
    assert await hub.rows("SELECT count(*) FROM tasks") == [(0,)]
    assert (await hub.text("stop everything", chat=elsewhere)).status == "accepted"


async def test_the_owners_number_is_recognised_however_it_is_written(hub: Hub) -> None:
    assert (await hub.text("tidy", sender="+49 151 1234567")).status == "accepted"


async def test_nothing_is_sent_to_a_thread_that_is_not_allowed(hub: Hub) -> None:
    await hub.text("tidy")
    await hub.database.write(
        lambda tx: tx.conn.execute("UPDATE outbox SET chat = 'iMessage;-;+15550001111'") and None
    )
    assert await hub.replies() == []
    rows = await hub.rows("SELECT state, error FROM outbox")
    assert rows == [("failed", "this thread is not on the allow list")]


# -- questions ----------------------------------------------------------------------------------


async def test_a_gated_task_waits_for_a_yes_by_code(hub: Hub) -> None:
    await fleet(hub)
    (question,) = await hub.say("ask publish the site")
    code = (await hub.services.approvals.list()).approvals[0].code
    assert question.startswith("#1 waits for your yes: publish the site")
    assert f"y {code} or n {code}" in question
    assert await hub.claim("rex") == []
    assert await hub.say(f"y {code}") == [f"#1 approved ({code})."]
    assert [lease.task.id for lease in await hub.claim("rex")] == [1]


async def test_a_no_ends_the_task_with_one_reply(hub: Hub) -> None:
    await hub.say("ask publish the site")
    assert await hub.say("n") == [f"#1 not run: {ME} said no"]
    assert (await hub.task(1)).state is TaskState.DENIED


async def test_a_bare_yes_answers_the_only_question_that_came_first(hub: Hub) -> None:
    await hub.text("ask publish the site")
    assert (await hub.say("y"))[-1].startswith("No question was here before that")
    (reply,) = await hub.say("y")
    assert reply.startswith("#1 approved")


async def test_a_bare_yes_with_several_questions_decides_nothing(hub: Hub) -> None:
    await hub.say("ask one")
    await hub.say("ask two")
    (reply,) = await hub.say("y")
    assert reply.startswith("Which one?")
    states = await hub.rows("SELECT state FROM approvals")
    assert states == [("pending",), ("pending",)]


async def test_a_high_risk_question_wants_its_code(hub: Hub) -> None:
    await hub.say("ask sudo reboot")
    (reply,) = await hub.say("y")
    assert reply.startswith("That one is high risk and needs its code.")
    code = (await hub.services.approvals.list()).approvals[0].code
    assert await hub.say(f"y {code}") == [f"#1 approved ({code})."]


async def test_the_second_answer_is_told_who_was_first(hub: Hub) -> None:
    await hub.say("ask publish")
    code = (await hub.services.approvals.list()).approvals[0].code
    await hub.say(f"n {code}")
    (reply,) = await hub.say(f"y {code}")
    assert reply == f"#1 {code} was already denied by {ME} (text)."


@pytest.mark.parametrize(
    ("tapback", "state"),
    [
        ("like", TaskState.QUEUED),
        ("dislike", TaskState.DENIED),
        ("laugh", TaskState.WAITING_APPROVAL),
    ],
)
async def test_a_tapback_on_the_question_answers_it(
    hub: Hub, tapback: str, state: TaskState
) -> None:
    await hub.text("ask publish")
    (item,) = await hub.deliver()
    await hub.text("Liked “…”", tapback=tapback, reply_to=f"out-guid-{item.id}")
    assert (await hub.task(1)).state is state


async def test_a_tapback_on_anything_else_says_nothing(hub: Hub) -> None:
    await hub.text("tidy")
    (item,) = await hub.deliver()
    await hub.text("Loved “…”", tapback="love", reply_to=f"out-guid-{item.id}")
    assert await hub.replies() == []
    assert await hub.rows("SELECT count(*) FROM tasks") == [(1,)]


async def test_an_inline_reply_answers_a_question_from_a_running_attempt(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("paint it")
    (lease,) = await hub.claim("Archon")
    await hub.start(lease.fence, "Archon")
    request = Ask(kind="question", summary="Which colour?", choices=["Red", "Blue"], ask_id="1")
    await hub.services.attempts.ask(lease.fence, request, by=node_actor("Archon"))
    (item,) = await hub.deliver()
    assert "1. Red" in item.text
    await hub.text("2", reply_to=f"out-guid-{item.id}")
    reply = await hub.beat("Archon", lease.fence)
    assert [(a.decision, a.answer) for a in reply.answers] == [(Decision.APPROVE, "Blue")]
    assert (await hub.beat("Archon", lease.fence)).answers == []


# -- going on -----------------------------------------------------------------------------------


async def test_an_inline_reply_to_a_result_continues_the_session_where_it_is(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("tidy")
    await hub.run_one("rex", session_id="s-1")
    (item,) = await hub.deliver()
    await hub.text("also the tests", reply_to=f"out-guid-{item.id}")
    task = await hub.task(2)
    assert (task.continue_of, task.session_id, task.session_node) == (1, "s-1", "rex")
    assert await hub.claim("Archon") == []
    (lease,) = await hub.claim("rex")
    assert lease.task.session_id == "s-1"


@pytest.mark.parametrize("inline", [False, True])
async def test_a_follow_up_that_says_ask_waits_for_its_yes(hub: Hub, inline: bool) -> None:
    await fleet(hub)
    await hub.text("tidy")
    await hub.run_one("rex", session_id="s-1")
    await hub.deliver()
    if inline:
        (done,) = await hub.rows("SELECT guid FROM outbox WHERE kind = 'final'")
        await hub.text("ask delete the old branches", reply_to=done[0])
    else:
        await hub.text("#1 ask delete the old branches")
    task = await hub.task(2)
    assert (task.state, task.prompt) == (TaskState.WAITING_APPROVAL, "delete the old branches")
    assert task.continue_of == 1
    await hub.beat("rex")
    assert await hub.claim("rex") == []


async def test_a_follow_up_that_is_repeated_goes_on_in_the_same_conversation(hub: Hub) -> None:
    await fleet(hub)
    await hub.text("tidy")
    await hub.run_one("rex", session_id="s-1")
    await hub.text("#1 and now the other one")
    await hub.run_one("rex", "permanent", error="x", session_id="s-1")
    await hub.text("retry 2")
    task = await hub.task(3)
    assert (task.prompt, task.continue_of) == ("and now the other one", 1)
    (lease,) = await hub.claim("rex")
    assert lease.task.session_id == "s-1"


async def test_names_are_taken_in_any_case_and_kept_as_their_owner_spells_them(hub: Hub) -> None:
    await hub.node("Rex", specialists=["Critic"], facts=projects("Web"))
    await hub.text("@critic on rex in web look at it")
    task = await hub.task(1)
    assert (task.specialist, task.pinned_node, task.project) == ("Critic", "Rex", "Web")
    assert [lease.task.id for lease in await hub.claim("Rex")] == [1]


async def test_panic_with_a_full_stop_starts_nothing(hub: Hub) -> None:
    await fleet(hub)
    await hub.text("work")
    for text in ("Stop all.", "stop all!\nnow"):
        (reply,) = [r for r in await hub.say(text) if r.startswith("Stopping")]
        assert "on hold" in reply
    assert await hub.rows("SELECT id FROM tasks") == [(1,)]


async def test_a_follow_up_says_when_the_node_of_its_session_is_away(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("tidy")
    await hub.run_one("rex", session_id="s-1")
    await hub.replies()
    hub.clock.advance(100)
    await hub.beat("Archon")
    (reply,) = await hub.say("#1 more")
    assert reply == "#2 queued, next in line: rex is away. It goes on from #1."


async def test_a_follow_up_begins_anew_on_another_node_when_told_so(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("tidy")
    await hub.run_one("rex", session_id="s-1")
    await hub.replies()
    (reply,) = await hub.say("on archon #1 more")
    assert reply.endswith("It follows #1, in a new session.")
    task = await hub.task(2)
    assert (task.continue_of, task.session_id, task.pinned_node) == (1, None, "Archon")
    (lease,) = await hub.claim("Archon")
    assert (lease.task.id, lease.task.prompt) == (2, "more")


@pytest.mark.parametrize(
    ("word", "begins"), [("why", "#1: it is over"), ("more", "#1 "), ("cost", "#1 cost")]
)
async def test_an_inline_look_means_the_task_it_answers(hub: Hub, word: str, begins: str) -> None:
    await fleet(hub)
    await hub.say("tidy")
    await hub.run_one("rex")
    (item,) = await hub.deliver()
    (reply,) = await hub.say(word, reply_to=f"out-guid-{item.id}")
    assert reply.startswith(begins)


async def test_more_pages_through_a_long_result(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("write")
    text = "\n".join(f"line {n} " + "x" * 60 for n in range(100))
    await hub.run_one("rex", text=text)
    first = (await hub.replies())[0].splitlines()[1:-1]
    shown = ["\n".join(first)]
    for _ in range(10):
        (part,) = await hub.say("more 1")
        body = part.removeprefix("#1 ").removesuffix("\nmore 1 for the rest")
        shown.append(body)
        if body == part.removeprefix("#1 "):
            break
    assert "\n".join(shown).split() == text.split()


# -- control ------------------------------------------------------------------------------------


async def test_stop_hold_and_go(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("one")
    await hub.say("two")
    assert await hub.say("stop 1") == ["#1 stopped"]
    assert await hub.say("hold") == ["On hold: nothing new starts. go starts again."]
    assert await hub.claim("rex") == []
    assert await hub.say("go") == ["Going on."]
    assert len(await hub.claim("rex")) == 1
    replies = await hub.say("stop all")
    assert replies[-1] == "Stopping 1 task, and on hold. go starts again."


async def test_drain_undrain_and_reset(hub: Hub) -> None:
    await fleet(hub)
    assert await hub.say("drain rex 30m lunch") == ["rex takes no more for 30m, 0 still running."]
    assert "rex 0/2 draining (lunch)" in (await hub.say("nodes"))[0]
    assert await hub.say("undrain rex") == ["rex takes work again."]
    assert await hub.say("reset rex") == ["rex's breaker is closed."]
    assert await hub.say("drain pool") == ["No node is called pool. nodes lists them."]


async def test_retry_makes_a_new_task(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("tidy")
    await hub.run_one("rex", "permanent", error="no such branch")
    failed = (await hub.replies())[0]
    assert failed == "#1 failed · 0s · cost unknown · rex: no such branch\nretry 1 runs it again"
    (reply,) = await hub.say("retry 1")
    assert reply == "#2 taken: Archon has room. It repeats #1."
    assert (await hub.task(2)).retry_of == 1


async def test_what_went_wrong_is_said_and_nothing_is_half_done(hub: Hub) -> None:
    assert await hub.say("stop 99") == ["there is no task #99"]
    assert await hub.say("retry 99") == ["there is no task #99"]
    assert await hub.say("#99 go on") == ["there is no task #99"]
    assert await hub.rows("SELECT count(*) FROM tasks") == [(0,)]


async def test_every_look_answers_in_one_bubble(hub: Hub) -> None:
    await fleet(hub)
    await hub.say("tidy")
    for text in ("status", "ls", "pending", "#1", "why 1", "more 1", "nodes", "agents", "cost",
                 "cost week", "cost 1", "help", "help cost"):  # fmt: skip
        replies = await hub.say(text)
        assert len(replies) == 1, text
        assert replies[0], text
    assert await hub.say("help") == [grammar.help_text()]


# -- the control centre and the outbox ----------------------------------------------------------


async def test_the_operator_types_into_the_same_thread(hub: Hub) -> None:
    await hub.say("hello")
    line = SendMessage(text="status")
    answered = await hub.services.conversation.send(line, key="k", by=OPERATOR)
    assert [m.direction for m in answered.messages] == ["in", "out"]
    assert {m.chat for m in answered.messages} == {CHAT}
    again = await hub.services.conversation.send(line, key="k", by=OPERATOR)
    assert [m.id for m in again.messages] == [m.id for m in answered.messages]


async def test_a_line_typed_with_the_key_of_another_is_refused_and_does_nothing(hub: Hub) -> None:
    await hub.say("hello")
    send = hub.services.conversation.send
    typed = await send(SendMessage(text="status"), key="k", by=OPERATOR)
    known = (await hub.services.conversation.messages()).messages
    for other in (SendMessage(text="tidy"), SendMessage(text="status", chat="control")):
        with pytest.raises(IdempotencyMismatchError):
            await send(other, key="k", by=OPERATOR)
    assert (await hub.services.conversation.messages()).messages == known
    assert await hub.rows("SELECT id FROM tasks WHERE prompt = 'tidy'") == []
    named = SendMessage(text="status", chat=CHAT)  # the thread it had gone to by itself
    assert await send(named, key="k", by=OPERATOR) == typed


async def test_the_operator_may_not_write_to_a_stranger(hub: Hub) -> None:
    line = SendMessage(text="status", chat="iMessage;-;+15550001111")
    with pytest.raises(ForbiddenError):
        await hub.services.conversation.send(line, key=None, by=OPERATOR)


async def test_a_claimed_reply_comes_again_when_its_bridge_died(hub: Hub) -> None:
    await hub.text("tidy")
    claim = ClaimOutbox(wait_s=0)
    first = (await hub.services.outbox.claim(claim, by=BRIDGE)).items
    assert (await hub.services.outbox.claim(claim, by=BRIDGE)).items == []
    hub.clock.advance(61)
    second = (await hub.services.outbox.claim(claim, by=BRIDGE)).items
    assert [item.claims for item in second] == [2]
    stale = OutboxOutcome(outcome="failed", claim=first[0].claim)
    with pytest.raises(ConflictError):
        await hub.services.outbox.resolve(first[0].id, stale, by=BRIDGE)
    was_sent = OutboxOutcome(outcome="sent", claim=first[0].claim, guid="g")
    message = await hub.services.outbox.resolve(first[0].id, was_sent, by=BRIDGE)
    assert message.state.value == "sent"
    late = OutboxOutcome(outcome="failed", claim=second[0].claim)
    assert (await hub.services.outbox.resolve(first[0].id, late, by=BRIDGE)).state.value == "sent"


async def test_a_reply_that_was_sent_and_never_arrived_has_failed(hub: Hub) -> None:
    await hub.text("tidy")
    (item,) = (await hub.services.outbox.claim(ClaimOutbox(wait_s=0), by=BRIDGE)).items
    resolve = hub.services.outbox.resolve
    await resolve(item.id, OutboxOutcome(outcome="sent", claim=item.claim, guid="g"), by=BRIDGE)
    unsure = OutboxOutcome(outcome="unknown", claim=item.claim)
    assert (await resolve(item.id, unsure, by=BRIDGE)).state.value == "sent"
    failed = OutboxOutcome(outcome="failed", claim=item.claim, error="not delivered (error 22)")
    message = await resolve(item.id, failed, by=BRIDGE)
    assert (message.state.value, message.error) == ("failed", "not delivered (error 22)")


async def test_an_unknown_outcome_word_is_refused(hub: Hub) -> None:
    await hub.text("tidy")
    with pytest.raises(InvalidError):
        await hub.services.outbox.resolve(1, OutboxOutcome(outcome="maybe"), by=BRIDGE)


async def test_every_chunk_of_a_reply_speaks_of_its_task(hub: Hub) -> None:
    await hub.text("tidy")
    (item,) = (await hub.services.outbox.claim(ClaimOutbox(wait_s=0), by=BRIDGE)).items
    sent = OutboxOutcome(outcome="sent", guids=["c1", "c2"], claim=item.claim)
    await hub.services.outbox.resolve(item.id, sent, by=BRIDGE)
    (reply,) = await hub.say("why", reply_to="c2")
    assert reply.startswith("#1: ")


async def test_messages_page_backwards_without_a_gap(hub: Hub) -> None:
    for number in range(6):
        hub.clock.advance(1)
        await hub.say(f"why {number}")
    everything = (await hub.services.conversation.messages(limit=50)).messages
    last = (await hub.services.conversation.messages(limit=4)).messages
    assert [m.id for m in last] == [m.id for m in everything[-4:]]
    with pytest.raises(InvalidError):
        await hub.services.conversation.messages(before="bogus")
