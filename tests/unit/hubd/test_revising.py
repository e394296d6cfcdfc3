"""Texts that belong to an earlier one: parts of one wish, edits, and what was taken back."""

from __future__ import annotations

from typing import Any

import pytest

from common.clock import to_datetime
from common.wire.messages import Change
from common.wire.tasks import TaskState
from hubd.domain.renderings import Edit, Reaction, is_link, joined, likeliest, quotes, read
from hubd.services.revising import TOO_LATE
from tests.unit.hubd.hub import BRIDGE, Hub

LINK = "https://example.com/paper.pdf"
WORDS = "summarise this paper in five lines"


async def prompts(hub: Hub) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = await hub.rows(
        "SELECT prompt, continue_of FROM tasks WHERE state <> 'cancelled' ORDER BY id"
    )
    return found


async def put_file(hub: Hub, name: str = "shed.jpeg") -> str:
    return await hub.services.files.put(b"x", name=name, media_type="image/jpeg", by=BRIDGE)


async def running(hub: Hub) -> None:
    """Task 1 is under way in a session."""
    await hub.node("rex")
    hub.clock.advance(5)
    await hub.beat("rex")
    (lease,) = await hub.claim("rex", free=1)
    await hub.start(lease.fence, "rex", session_id="s-1")


# -- parts of one wish --------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [0.1, 2.0, 8.0])
@pytest.mark.parametrize("first", ["words", "link"])
async def test_words_and_their_link_are_one_task(hub: Hub, gap_s: float, first: str) -> None:
    """Case `split_send`, in either order, as long as nothing runs yet."""
    texts = [WORDS, LINK] if first == "words" else [LINK, WORDS]
    await hub.say(texts[0])
    hub.clock.advance(gap_s)
    assert await hub.say(texts[1]) == ["#1 has that too."]
    assert await prompts(hub) == [(f"{WORDS}\n{LINK}", None)]


@pytest.mark.parametrize("first", ["words", "link"])
async def test_a_part_that_comes_after_the_start_continues_the_task(hub: Hub, first: str) -> None:
    texts = [WORDS, LINK] if first == "words" else [LINK, WORDS]
    await hub.say(texts[0])
    await running(hub)
    (reply,) = await hub.say(texts[1])
    assert "It goes on from #1." in reply
    assert await prompts(hub) == [(texts[0], None), (texts[1], 1)]


async def test_a_lease_that_has_not_started_is_called_back_for_the_link(hub: Hub) -> None:
    await hub.node("rex")
    await hub.say(WORDS)
    (stale,) = await hub.claim("rex", free=1)
    await hub.say(LINK)
    with pytest.raises(Exception, match="no longer counts"):
        await hub.start(stale.fence, "rex")
    (lease,) = await hub.claim("rex", free=1)
    assert lease.task.prompt == f"{WORDS}\n{LINK}"
    assert (await hub.task(1)).attempt == 1


async def test_an_ordinary_text_does_not_wait_and_a_lone_link_a_little(hub: Hub) -> None:
    await hub.node("rex")
    await hub.text(WORDS)
    assert len(await hub.claim("rex", free=1)) == 1
    hub.clock.advance(60)
    await hub.beat("rex")
    await hub.text(LINK)
    assert await hub.claim("rex", free=1) == []
    hub.clock.advance(5)
    assert [lease.task.prompt for lease in await hub.claim("rex", free=1)] == [LINK]


@pytest.mark.parametrize("first", ["words", "photo"])
async def test_a_photo_and_its_words_are_one_task(hub: Hub, first: str) -> None:
    photo: dict[str, Any] = {"text": "", "files": [await put_file(hub)]}
    words: dict[str, Any] = {"text": "what is wrong here?"}
    for fields in [words, photo] if first == "words" else [photo, words]:
        await hub.text(**fields)
    assert await prompts(hub) == [("what is wrong here?", None)]
    await hub.node("rex")
    (lease,) = await hub.claim("rex", free=1)
    assert lease.task.files == photo["files"]


async def test_several_photos_without_words_are_one_task(hub: Hub) -> None:
    for name in ("a.jpeg", "b.jpeg"):
        await hub.text("", files=[await put_file(hub, name)])
    assert await prompts(hub) == [("See the attached a.jpeg, b.jpeg.", None)]


async def test_a_photo_delivered_late_still_finds_the_words_beside_it(hub: Hub) -> None:
    at = to_datetime(hub.clock.now())
    await hub.text("what is wrong here?", order=10)
    hub.clock.advance(40)
    await hub.text("", files=[await put_file(hub)], order=11, sent_at=at)
    assert await prompts(hub) == [("what is wrong here?", None)]


@pytest.mark.parametrize("between", ["status", "nodes", "y"])
async def test_a_command_is_joined_to_nothing(hub: Hub, between: str) -> None:
    await hub.say(LINK)
    await hub.say(between)
    assert await prompts(hub) == [(LINK, None)]


async def test_what_a_lone_link_waits_for_is_said_once_and_stored_without_a_countdown(
    hub: Hub,
) -> None:
    await hub.node("rex")
    (reply,) = await hub.say(LINK)
    assert reply.count("waits for the words") == 1
    assert reply.endswith("may start in 4s.")
    assert (await hub.task(1)).wait_reason == "waits for the words that may belong to it"


async def test_a_link_after_a_command_or_after_a_while_stands_alone(hub: Hub) -> None:
    await hub.say("status")
    await hub.say(LINK)
    await hub.say(WORDS, chat="+491511234567")
    hub.clock.advance(60)
    await hub.say("https://example.com/other")
    assert [prompt for prompt, _ in await prompts(hub)] == [
        LINK,
        WORDS,
        "https://example.com/other",
    ]


async def test_a_link_that_the_words_hold_already_adds_nothing(hub: Hub) -> None:
    await hub.say("read example.com/paper.pdf")
    assert await hub.say(LINK) == []
    assert await prompts(hub) == [("read example.com/paper.pdf", None)]


async def test_a_gated_task_is_asked_about_again_with_its_link(hub: Hub) -> None:
    (first,) = await hub.say(f"ask {WORDS}")
    (second,) = await hub.say(LINK)
    assert LINK in second
    old, new = await hub.rows("SELECT code, state FROM approvals ORDER BY id")
    assert (old[1], new[1]) == ("withdrawn", "pending")
    assert "already withdrawn" in (await hub.say(f"y {old[0]}"))[0]
    await hub.say(f"y {new[0]}")
    await hub.node("rex")
    (lease,) = await hub.claim("rex", free=1)
    assert lease.task.prompt == f"{WORDS}\n{LINK}"
    assert first != second


async def test_what_was_approved_does_not_run_with_more_than_was_asked(hub: Hub) -> None:
    await hub.say(f"ask {WORDS}")
    [(code,)] = await hub.rows("SELECT code FROM approvals")
    await hub.say(f"y {code}", order=1000)
    await hub.text(LINK, order=2)
    assert (await hub.task(1)).state is TaskState.CANCELLED
    assert (await hub.task(2)).state is TaskState.WAITING_APPROVAL
    assert (await hub.task(2)).prompt == f"{WORDS}\n{LINK}"


async def test_words_with_a_prefix_take_the_link_along(hub: Hub) -> None:
    await hub.node("rex")
    await hub.say(LINK)
    await hub.say(f"! on rex {WORDS}")
    assert (await hub.task(1)).state is TaskState.CANCELLED
    task = await hub.task(2)
    assert (task.prompt, task.pinned_node, task.priority.value) == (
        f"{WORDS}\n{LINK}",
        "rex",
        "high",
    )


# -- files that did not come --------------------------------------------------------------------


async def test_a_run_is_told_of_a_file_that_did_not_come(hub: Hub) -> None:
    await hub.say("what is wrong here?", lost_files=["shed.heic"])
    [(prompt, _)] = await prompts(hub)
    assert prompt.startswith("what is wrong here?\n")
    assert "did not arrive: shed.heic" in prompt


async def test_a_lone_file_that_did_not_come_starts_nothing_until_it_does(hub: Hub) -> None:
    assert "did not arrive" in (await hub.say("", lost_files=["shed.heic"], guid="g"))[0]
    assert await prompts(hub) == []
    await hub.text("", files=[await put_file(hub)], change=Change.FILES, changes="g")
    assert await prompts(hub) == [("See the attached shed.jpeg.", None)]


async def test_a_late_file_continues_the_task_it_was_missed_by(hub: Hub) -> None:
    await hub.say("what is wrong here?", lost_files=["shed.jpeg"], guid="g")
    await running(hub)
    await hub.text("", files=[await put_file(hub)], change=Change.FILES, changes="g")
    assert (await prompts(hub))[1] == ("See the attached shed.jpeg.", 1)


# -- edited and unsent --------------------------------------------------------------------------


async def test_an_edit_of_a_task_that_has_not_started_changes_it(hub: Hub) -> None:
    await hub.say("tidy the downloads", guid="g")
    fields = {"change": Change.EDITED, "changes": "g"}
    assert await hub.say("tidy the downloads, keep PDFs", **fields) == ["#1 has your edit."]
    assert await hub.say("tidy it, keep all", **fields) == ["#1 has your edit."]
    assert await prompts(hub) == [("tidy it, keep all", None)]


async def test_an_edit_that_sends_it_elsewhere_replaces_the_task(hub: Hub) -> None:
    await hub.node("rex")
    await hub.say("tidy the downloads", guid="g")
    await hub.say("on rex tidy the downloads", change=Change.EDITED, changes="g")
    assert (await hub.task(1)).state is TaskState.CANCELLED
    assert (await hub.task(2)).pinned_node == "rex"


async def test_an_edit_of_a_task_that_started_is_answered(hub: Hub) -> None:
    await hub.say("tidy the downloads", guid="g")
    await running(hub)
    (reply,) = await hub.say("tidy nothing", change=Change.EDITED, changes="g")
    assert reply.startswith("#1 had started before your edit.")
    assert len(await prompts(hub)) == 1


async def test_a_text_taken_back_stops_what_has_not_started(hub: Hub) -> None:
    await hub.say("tidy the downloads", guid="g")
    assert await hub.say("", change=Change.UNSENT, changes="g") == ["#1 stopped"]


async def test_a_text_taken_back_says_what_has_started(hub: Hub) -> None:
    await hub.say("tidy the downloads", guid="g")
    await running(hub)
    (reply,) = await hub.say("", change=Change.UNSENT, changes="g")
    assert reply == "#1 had started before you took it back. stop 1 ends it."
    assert (await hub.task(1)).state is TaskState.RUNNING


async def test_a_question_about_a_task_taken_back_stops_nothing(hub: Hub) -> None:
    await hub.say("tidy the downloads")
    await hub.say("#1", guid="g")
    assert await hub.say("", change=Change.UNSENT, changes="g") == []
    assert await hub.say("", change=Change.UNSENT, changes="unknown") == []
    assert (await hub.task(1)).state is TaskState.QUEUED


# -- what an older Messages shows as a text -----------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "Loved “{}”",
        "Liked “{}”",
        "Disliked “{}”",
        "Laughed at “{}”",
        "Emphasized “{}”",
        "Emphasised “{}”",
        "Questioned “{}”",
        'Loved "{}"',
        "Reacted 👍 to “{}”",
        "Reacted 👍🏽 to “{}”",
        "Removed a heart from “{}”",
        "Removed a like from “{}”",
        "Removed 👍 from “{}”",
        "Removed an exclamation mark from “{}”",
    ],
)
@pytest.mark.parametrize("whose", ["ours", "theirs"])
async def test_a_reaction_shown_as_a_text_is_no_task(hub: Hub, line: str, whose: str) -> None:
    """Case `compat_texts`."""
    (reply,) = await hub.say("tidy the downloads folder")
    quoted = reply if whose == "ours" else "tidy the downloads folder"
    assert await hub.say(line.format(quoted)) == []
    assert len(await prompts(hub)) == 1


async def test_an_edit_shown_as_a_text_is_an_edit(hub: Hub) -> None:
    await hub.say("tidy the downloads folder")
    line = "Edited to “tidy the downloads folder, but keep PDFs”"
    assert await hub.say(line) == ["#1 has your edit."]
    assert await prompts(hub) == [("tidy the downloads folder, but keep PDFs", None)]


async def test_an_edit_shown_as_a_text_that_rewrites_all_is_answered(hub: Hub) -> None:
    await hub.say("tidy the downloads folder")
    assert await hub.say("Edited to “n”") == [TOO_LATE]
    assert await prompts(hub) == [("tidy the downloads folder", None)]


async def test_words_that_come_after_their_photo_are_its_words(hub: Hub) -> None:
    await hub.say("", files=[await put_file(hub)], guid="g")
    await hub.say("what is wrong here?", change=Change.EDITED, changes="g")
    assert await prompts(hub) == [("what is wrong here?", None)]
    hub.clock.advance(1)
    await hub.node("rex")
    (lease,) = await hub.claim("rex", free=1)
    assert len(lease.task.files) == 1


@pytest.mark.parametrize(
    ("sign", "state"),
    [("Reacted 👍🏽 to", "queued"), ("Liked", "queued"), ("Disliked", "denied"),
     ("Reacted 👀 to", "waiting_approval"), ("Removed a like from", "waiting_approval")],
)  # fmt: skip
async def test_a_reaction_shown_as_a_text_answers_an_open_question(
    hub: Hub, sign: str, state: str
) -> None:
    (question,) = await hub.say("ask publish the site")
    await hub.say(f"{sign} “{question}”")
    assert (await hub.task(1)).state.value == state
    assert len(await prompts(hub)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Loved “The Great Gatsby”",
        "Loved “tidy” so much, write about it",
        "Liked what you did, now tidy the rest",
        "Reacted badly to the deploy, roll back",
    ],
)
async def test_what_quotes_nothing_of_the_thread_is_work(hub: Hub, text: str) -> None:
    await hub.say("tidy the downloads folder")
    await hub.say(text)
    assert (await prompts(hub))[1] == (text, None)


def test_a_rendering_is_read() -> None:
    assert read("Loved an image") == Reaction("love", None)
    assert read("Reacted with a sticker to “hi”") == Reaction("sticker", "hi")
    assert read("Edited to “two\nlines”") == Edit("two\nlines")
    assert read("Loved it") is None


def test_a_short_quote_must_be_the_whole_of_what_was_said() -> None:
    assert quotes("done", "Done.")
    assert not quotes("done", "#1 done: the whole thing")
    assert quotes("#1 done: the whole", "#1 done: **the whole** thing")
    assert likeliest("tidy, but keep PDFs", ["status", "tidy"]) == 1
    assert likeliest("a poem", ["status", "tidy"]) is None


@pytest.mark.parametrize("text", [LINK, "www.example.com", f"{LINK}\n{LINK}", f"<{LINK}>"])
def test_a_link_alone_is_a_part(text: str) -> None:
    assert is_link(text)
    assert not is_link(f"see {text}")


def test_words_and_a_part_are_put_together_once() -> None:
    assert joined(WORDS, LINK) == f"{WORDS}\n{LINK}"
    assert joined(f"see {LINK}/", LINK) == f"see {LINK}/"
    assert joined("", LINK) == LINK
