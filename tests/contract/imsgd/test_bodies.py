"""Texts arrive byte for byte, however and whenever Messages writes them."""

from __future__ import annotations

import time

import pytest

from imsgd.simulated.archive import write_body
from imsgd.simulated.store import NewRow
from tests.contract.imsgd.bench import OWNER, OWNER_CHAT, Bench

SIZES = [1, 126, 127, 128, 129, 255, 256, 257, 8191, 8192, 8193, 32768, 65535, 65536, 120_000]
NASTY = [
    'say "hi" & do shell script "touch /tmp/owned" & "',
    "back\\slash \\n \\\" '; $(reboot) `id %s {0}",
    "-n",
    "--help",
    "two\nlines\r\nand a\ttab",
    "left ↄ right",
    "İstanbul ǅ ﬁ e\u0301",
    "👩\u200d👩\u200d👧\u200d👦 👍🏽 🏴\U000e0067\U000e0062\U000e007f",
    "\u202eright to left\u202c",
]


async def test_long_bodies_arrive_whole(bench: Bench) -> None:
    """AC8"""
    await bench.start()
    texts = [f"{size} " + "x" * (size - len(f"{size} ")) for size in SIZES[1:]]
    texts += [f"{size} " + "🌳é" * (size // 6) for size in SIZES[1:]]
    for text in texts:
        await bench.world.text(text)
    await bench.hub.until(lambda: len(bench.hub.texts) == len(texts), timeout_s=30)
    assert bench.hub.texts == texts


async def test_difficult_texts_arrive_as_they_were_written(bench: Bench) -> None:
    """AC9; what is blank at the edges is not shown by a bubble either"""
    texts = [*NASTY, "\n\nleading lines", "x" * 20_000]
    await bench.start()
    for text in texts:
        await bench.world.text(text)
    await bench.hub.until(lambda: len(bench.hub.texts) == len(texts))
    assert bench.hub.texts == [text.strip() for text in texts]


@pytest.mark.parametrize("plain", [True, False], ids=["text column", "body"])
async def test_a_body_that_comes_late_is_delivered_once_and_whole(
    bench: Bench, plain: bool
) -> None:
    """AC10"""
    await bench.start()
    store = bench.world.store
    written = store.insert(NewRow(None, time.time(), handle=OWNER))
    store.join(written, OWNER_CHAT)
    await bench.world.text("a newer one")
    await bench.hub.heard("a newer one")
    if plain:
        store.update(written.guid, text="the late one")
    else:
        store.update(written.guid, attributedBody=write_body("the late one"))
    await bench.hub.heard("the late one")
    await bench.world.text("after")
    await bench.hub.heard("after")
    assert bench.hub.texts == ["a newer one", "the late one", "after"]


async def test_old_rows_with_a_text_column_only_are_heard(bench: Bench) -> None:
    await bench.start()
    await bench.world.text("in the text column", plain=True)
    await bench.hub.heard("in the text column")


async def test_an_attachment_placeholder_is_no_part_of_the_text(bench: Bench) -> None:
    await bench.start()
    await bench.world.text("\ufffcwhat is this?")
    await bench.hub.heard("what is this?")


async def test_a_reply_is_an_argument_and_nothing_is_executed(bench: Bench) -> None:
    """AC28"""
    await bench.start()
    for text in NASTY:
        item = await bench.hub.say(OWNER_CHAT, text)
        assert (await bench.hub.outcome(item))["outcome"] == "sent"
    assert [call["argv"] for call in bench.calls] == [["-", text, OWNER_CHAT] for text in NASTY]
    assert len({call["script"] for call in bench.calls}) == 1


@pytest.mark.parametrize("text", ["y" * 20_000, "word " * 4000], ids=["unbroken", "words"])
async def test_a_reply_of_20000_characters_arrives_whole(bench: Bench, text: str) -> None:
    """AC28"""
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, text)
    outcome = await bench.hub.outcome(item, timeout_s=30)
    assert (outcome["outcome"], len(outcome["guids"])) == ("sent", len(bench.calls))
    glue = " " if " " in text else ""
    assert glue.join(bench.sent_texts) == text.strip()


async def test_a_nul_character_is_left_out(bench: Bench) -> None:
    """AC28: no argument can hold one."""
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "before\0after")
    assert (await bench.hub.outcome(item))["outcome"] == "sent"
    assert bench.sent_texts == ["beforeafter"]


async def test_markdown_becomes_what_a_person_would_type(bench: Bench) -> None:
    await bench.start()
    item = await bench.hub.say(OWNER_CHAT, "# Done\n**All** `tests` pass: [log](https://x.test/1)")
    assert (await bench.hub.outcome(item))["outcome"] == "sent"
    assert bench.sent_texts == ["Done\nAll tests pass: log https://x.test/1"]
