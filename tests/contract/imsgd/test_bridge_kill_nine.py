"""kill -9 at any moment of two-way traffic: nothing is lost and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imsgd.sender import AGAIN_MARK
from imsgd.simulated.world import Shape
from tests.contract.imsgd.bench import SELF, SELF_CHAT, Bench, bridge_bench

KILLS = int(os.environ.get("MESH_TEST_KILLS", "100"))
BUDGET_S = float(os.environ.get("MESH_TEST_KILLS_S", "75"))
LEAST_KILLS = min(KILLS, 15)


async def _texting(bench: Bench, rng: random.Random, texts: list[str]) -> None:
    """A person who never stops, on a phone whose rows come in every shape."""
    while True:
        bench.world.shape = rng.choice(list(Shape))
        text = f"task number {len(texts)}"
        texts.append(text)
        await bench.world.text(text, sender=SELF)
        await asyncio.sleep(rng.uniform(0.1, 0.8))


async def _expiring(bench: Bench) -> None:
    """Claims of a bridge that is gone run out, also those it took while it died."""
    while True:
        await asyncio.sleep(2.0)
        await bench.hub.offer_again()


async def _killing(bench: Bench, rng: random.Random) -> int:
    deadline = time.monotonic() + BUDGET_S
    kills = 0
    while kills < KILLS and (kills < LEAST_KILLS or time.monotonic() < deadline):
        await bench.start(ready=kills % 3 == 0)
        await asyncio.sleep(rng.uniform(0.0, 0.7 if kills % 3 == 0 else 1.5))
        await bench.kill()
        kills += 1
    return kills


@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_done_twice_however_often_it_is_killed(
    tmp_path: Path, clean_env: dict[str, str]
) -> None:
    rng = random.Random(20_261_124)
    async with bridge_bench(
        tmp_path, clean_env, allow=[], own=[SELF], send_timeout_s=1.0, verify_s=1.0
    ) as bench:
        hub = bench.hub
        replies: list[str] = []
        saying: set[asyncio.Task[int]] = set()

        def answer(message: dict[str, Any]) -> None:
            reply = f"#{len(replies)} done: {message['text']}"
            replies.append(reply)
            saying.add(asyncio.create_task(hub.say(SELF_CHAT, reply)))

        hub.on_message = answer
        texts: list[str] = []
        await bench.start()
        await bench.kill()
        phone = asyncio.create_task(_texting(bench, rng, texts))
        leases = asyncio.create_task(_expiring(bench))
        kills = await _killing(bench, rng)
        phone.cancel()
        await asyncio.wait([phone])
        bench.world.shape = Shape.PAIR
        await bench.start()
        await hub.until(lambda: set(texts) <= set(hub.texts), timeout_s=60)
        await asyncio.gather(*saying)
        await hub.until(lambda: len(hub.outcomes) == len(replies), timeout_s=60)
        leases.cancel()
        await asyncio.wait([leases])

        assert Counter(hub.texts) == Counter(texts), "a text was lost or acted on twice"
        outcomes = {item: reports[-1] for item, reports in hub.outcomes.items()}
        assert {report["outcome"] for report in outcomes.values()} == {"sent"}
        shown = Counter(
            bubble.text
            for bubble in bench.world.bubbles
            if bubble.direction == "out" and not bubble.copy
        )
        again = {text for text in shown if text.startswith(AGAIN_MARK)}
        assert set(shown) - again <= set(replies)
        assert all(count == 1 for count in shown.values()), "a reply was repeated unmarked"
        assert {reply for reply in replies if not shown[reply]} <= {
            text.removeprefix(AGAIN_MARK) for text in again
        }, "a reply was lost"
        assert len(again) <= kills
        marked = sum(bool(report["maybe_duplicate"]) for report in outcomes.values())
        assert marked == len(again)
