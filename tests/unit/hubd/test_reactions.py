"""What a reaction means to a question, whatever skin or selector it was sent with."""

from __future__ import annotations

import pytest

from common.wire.approvals import Decision
from common.wire.tasks import TaskState
from hubd.domain.reactions import meaning, of_sign
from tests.unit.hubd.hub import Hub

YES = [
    *"👍👌✅✔💯🙏❤💚🆗🫡",
    *("👍🏻", "👍🏼", "👍🏽", "👍🏾", "👍🏿", "👌🏿", "✔️", "☑️", "🙏🏽", "❤️", "🙆🏽\u200d♀️", "💪🏾"),
    *("like", "love"),
]
NO = [
    *"👎❌❎🚫⛔🛑🆖",
    *("👎🏻", "👎🏿", "✖️", "⛔️", "🙅🏽\u200d♂️", "✋🏼", "dislike"),
]
UNCLEAR = [
    *"👀❓🤔😂🎉💔😡",
    *("‼️", "❤️\u200d🩹", "laugh", "emphasise", "question", "sticker", "emoji"),
]


@pytest.mark.parametrize("reaction", YES)
def test_a_yes_is_a_yes_in_every_skin(reaction: str) -> None:
    """Case `tapback_skin_tone`."""
    assert meaning(reaction) is Decision.APPROVE


@pytest.mark.parametrize("reaction", NO)
def test_a_no_is_a_no_in_every_skin(reaction: str) -> None:
    assert meaning(reaction) is Decision.DENY


@pytest.mark.parametrize("reaction", UNCLEAR)
def test_what_may_mean_anything_decides_nothing(reaction: str) -> None:
    assert meaning(reaction) is None


@pytest.mark.parametrize("word", ["like", "love", "dislike", "y", ""])
def test_a_word_of_a_text_is_no_reaction(word: str) -> None:
    assert of_sign(word) is None


async def _question(hub: Hub, text: str) -> tuple[str, str]:
    """A question that stands in the thread: its bubble's guid and its code."""
    await hub.say(text)
    code = (await hub.services.approvals.list()).approvals[0].code
    [guid] = [row[0] for row in await hub.rows("SELECT guid FROM outbox WHERE kind = 'question'")]
    return guid, code


@pytest.mark.parametrize(
    ("reaction", "state"),
    [("👍🏽", TaskState.QUEUED), ("✅", TaskState.QUEUED), ("❌", TaskState.DENIED)],
)
async def test_an_emoji_on_an_open_question_answers_it(
    hub: Hub, reaction: str, state: TaskState
) -> None:
    guid, _ = await _question(hub, "ask publish the site")
    await hub.text("", tapback=reaction, reply_to=guid)
    assert (await hub.task(1)).state is state


@pytest.mark.parametrize("reaction", ["👀", "sticker", "laugh"])
async def test_an_unclear_reaction_on_an_open_question_is_asked_about(
    hub: Hub, reaction: str
) -> None:
    guid, code = await _question(hub, "ask publish the site")
    (reply,) = await hub.say("", tapback=reaction, reply_to=guid)
    assert reply.startswith("#1 Does ")
    assert f"Reply y {code} or n {code}." in reply
    assert (await hub.task(1)).state is TaskState.WAITING_APPROVAL
    await hub.say(f"y {code}")
    assert await hub.say("", tapback=reaction, reply_to=guid) == []


async def test_a_high_risk_question_still_wants_its_code(hub: Hub) -> None:
    guid, code = await _question(hub, "ask sudo reboot")
    (reply,) = await hub.say("", tapback="✅", reply_to=guid)
    assert "needs its code" in reply
    assert code in reply
    assert (await hub.task(1)).state is TaskState.WAITING_APPROVAL


async def test_a_reaction_elsewhere_says_nothing(hub: Hub) -> None:
    await hub.say("tidy")
    [guid] = [row[0] for row in await hub.rows("SELECT guid FROM outbox")]
    assert await hub.say("", tapback="👀", reply_to=guid) == []
    assert await hub.say("", tapback="👍", reply_to="unknown") == []


@pytest.mark.parametrize(
    ("sign", "state"), [("✅", "queued"), ("👍🏿", "queued"), ("🚫", "denied")]
)
async def test_an_emoji_typed_as_a_text_answers_as_well(hub: Hub, sign: str, state: str) -> None:
    _, code = await _question(hub, "ask publish the site")
    await hub.say(f"{sign} {code}")
    assert (await hub.task(1)).state.value == state


@pytest.mark.parametrize("text", ["stop all", "STOP EVERYTHING!", "stop all please"])
async def test_the_hub_knows_the_same_orders_to_stop_as_the_bridge(hub: Hub, text: str) -> None:
    await hub.say("tidy")
    assert "on hold" in (await hub.say(text))[-1]
    assert (await hub.task(1)).state is TaskState.CANCELLED
