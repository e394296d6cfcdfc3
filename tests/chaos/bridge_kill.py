"""`kill -9` of the real bridge, again and again, while somebody texts and the mesh answers.

`python -m tests.chaos.bridge_kill [KILLS] [SEED]` prints what it saw and fails on any broken
promise: a text lost or acted on twice, a reply lost, or one said twice without its mark.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imsgd.sender import AGAIN_MARK
from imsgd.simulated.world import Shape
from tests.contract.imsgd.bench import SELF, SELF_CHAT, Bench, bridge_bench

SECONDS_PER_KILL = 1.0
"""Behind this pace, as on a machine with other work, no bridge is waited for."""
OVERRUN_S = 20.0
"""A hundred kills end after two minutes at the latest, wherever they are."""
STARTING_S = 0.8
"""A bridge that is not waited for dies within that time, often before it has begun to read."""
TALKING_S = 0.7
"""One that was waited for dies within that time, amid the traffic."""
TEXT_EVERY_S = (0.1, 0.8)
LEASE_S = 2.0
CUT_OFF_TWICE = "stopped twice while sending it"
BACKLOG = 30
"""So many texts without their reply make the person wait."""
DRAIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run came to; every list holds texts."""

    wanted: int
    kills: int
    amid_traffic: int
    """Kills of a bridge that was waited for until it listened; the others died at any moment."""
    texts: int
    replies: int
    lost: list[str]
    acted_twice: list[str]
    replies_lost: list[str]
    in_doubt: list[str]
    """Replies cut off twice: shown to the owner as unknown, and never said a third time."""
    marked: list[str]
    """Replies said once more with their mark."""
    duplicates: list[str]
    """Those of them whose first bubble had arrived as well."""
    unmarked: list[str]
    strange: list[str]
    """Bubbles that nobody asked for, and outcomes that do not fit what the phone shows."""

    def line(self) -> str:
        return (
            f"{self.kills} kills, {self.amid_traffic} of them amid the traffic:"
            f" {self.texts} texts sent, {len(self.lost)} lost,"
            f" {len(self.acted_twice)} acted on twice; {self.replies} replies,"
            f" {len(self.replies_lost)} lost,"
            f" {len(self.in_doubt)} cut off twice and shown as unknown,"
            f" {len(self.marked)} said once more with a mark,"
            f" {len(self.duplicates)} duplicate replies, {len(self.unmarked)} unmarked duplicates"
        )

    def broken(self) -> list[str]:
        """Every promise that did not hold, for its reader."""
        promises = {
            "texts lost": self.lost,
            "texts acted on twice": self.acted_twice,
            "replies lost": self.replies_lost,
            "replies repeated without a mark": self.unmarked,
            "unexplained": self.strange,
        }
        broken = [f"{what}: {texts}" for what, texts in promises.items() if texts]
        if len(self.in_doubt) > 1 + self.kills // 25:
            broken.append(f"{len(self.in_doubt)} replies in doubt after {self.kills} kills")
        if len(self.marked) > self.kills:
            broken.append(f"{len(self.marked)} replies said once more in {self.kills} kills")
        if self.kills < self.wanted:
            broken.append(f"only {self.kills} of {self.wanted} kills in the time there was")
        return broken


@dataclass(slots=True)
class Talk:
    """A person who texts himself, and a mesh that answers every text."""

    bench: Bench
    rng: random.Random
    texts: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    saying: dict[asyncio.Task[int], str] = field(default_factory=dict)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """The person has said enough."""

    def answer(self, message: dict[str, Any]) -> None:
        """What the hub does with a text, once for each effect."""
        reply = f"#{len(self.replies)} done: {message['text']}"
        self.replies.append(reply)
        saying = self.bench.hub.say(SELF_CHAT, reply)
        self.saying[asyncio.create_task(saying, name=f"reply {len(self.replies)}")] = reply

    async def text_until_quiet(self) -> None:
        """On a phone whose rows come in every shape, each of them whole."""
        while not self.quiet.is_set():
            await asyncio.sleep(self.rng.uniform(*TEXT_EVERY_S))
            if len(self.texts) - len(self.bench.hub.outcomes) < BACKLOG:
                self.bench.world.shape = self.rng.choice(list(Shape))
                self.texts.append(f"task number {len(self.texts)}")
                await self.bench.world.text(self.texts[-1], sender=SELF)

    async def offer_for_ever(self) -> None:
        """Claims of a bridge that is gone run out, also those it took while it died."""
        while True:
            await asyncio.sleep(LEASE_S)
            await self.bench.hub.offer_again()

    def given_up(self) -> dict[int, str]:
        """Replies by the hub's id, where the bridge says that it was cut off twice."""
        last = {item_id: reports[-1] for item_id, reports in self.bench.hub.outcomes.items()}
        return {
            task.result(): reply
            for task, reply in self.saying.items()
            if last[task.result()]["outcome"] == "unknown"
            and CUT_OFF_TWICE in str(last[task.result()]["error"])
        }

    async def settled(self) -> None:
        """Every text is known to the hub and every reply reported."""
        hub = self.bench.hub
        await hub.until(lambda: set(self.texts) <= set(hub.texts), timeout_s=DRAIN_S)
        await asyncio.gather(*self.saying)
        await hub.until(lambda: len(hub.outcomes) >= len(self.replies), timeout_s=DRAIN_S)


async def run(folder: Path, env: dict[str, str], *, kills: int, seed: int) -> Seen:
    """Kill the bridge so many times, let the talk come to its end, and say what became of it."""
    rng = random.Random(seed)
    async with bridge_bench(
        folder, env, allow=[], own=[SELF], send_timeout_s=1.0, verify_s=1.0
    ) as bench:
        talk = Talk(bench, rng)
        bench.hub.on_message = talk.answer
        await bench.start()
        await bench.kill()
        async with asyncio.TaskGroup() as group:
            leases = group.create_task(talk.offer_for_ever(), name="leases")
            phone = group.create_task(talk.text_until_quiet(), name="phone")
            done, amid_traffic = await _kill(bench, rng, kills)
            talk.quiet.set()
            await phone
            bench.world.shape = Shape.PAIR
            await bench.start()
            await talk.settled()
            leases.cancel()
        return _seen(talk, wanted=kills, kills=done, amid_traffic=amid_traffic)


async def _kill(bench: Bench, rng: random.Random, kills: int) -> tuple[int, int]:
    """How many kills there was time for, and how many of them hit a bridge that listened."""
    began = time.monotonic()
    amid_traffic = 0
    for number in range(kills):
        elapsed_s = time.monotonic() - began
        if elapsed_s > SECONDS_PER_KILL * kills + OVERRUN_S:
            return number, amid_traffic
        in_time = elapsed_s <= SECONDS_PER_KILL * number
        waited_for = in_time and rng.random() < 0.5
        await bench.start(ready=waited_for)
        await asyncio.sleep(rng.uniform(0.0, TALKING_S if waited_for else STARTING_S))
        await bench.kill()
        amid_traffic += waited_for
    return kills, amid_traffic


def _seen(talk: Talk, *, wanted: int, kills: int, amid_traffic: int) -> Seen:
    hub = talk.bench.hub
    given_up = talk.given_up()
    heard = Counter(hub.texts)
    shown = Counter(
        bubble.text
        for bubble in talk.bench.world.bubbles
        if bubble.direction == "out" and not bubble.copy
    )
    marked = [text.removeprefix(AGAIN_MARK) for text in shown if text.startswith(AGAIN_MARK)]
    asked_for = {*talk.replies, *(AGAIN_MARK + reply for reply in talk.replies)}
    return Seen(
        wanted=wanted,
        kills=kills,
        amid_traffic=amid_traffic,
        texts=len(talk.texts),
        replies=len(talk.replies),
        lost=[text for text in talk.texts if not heard[text]],
        acted_twice=[text for text, count in heard.items() if count > 1],
        replies_lost=[
            reply
            for reply in talk.replies
            if not (shown[reply] or shown[AGAIN_MARK + reply] or reply in given_up.values())
        ],
        in_doubt=list(given_up.values()),
        marked=marked,
        duplicates=[reply for reply in marked if shown[reply]],
        unmarked=[text for text, count in shown.items() if count > 1],
        strange=[
            *(set(shown) - asked_for),
            *(set(heard) - set(talk.texts)),
            *_wrong_outcomes(
                {id_: told for id_, told in hub.outcomes.items() if id_ not in given_up},
                marked=len(marked),
            ),
        ],
    )


def _wrong_outcomes(outcomes: dict[int, list[dict[str, Any]]], *, marked: int) -> list[str]:
    last = [reports[-1] for reports in outcomes.values()]
    wrong = [f"reported as {report}" for report in last if report["outcome"] != "sent"]
    reported = sum(bool(report["maybe_duplicate"]) for report in last)
    if reported != marked:
        wrong.append(f"{reported} replies reported as a possible repeat, {marked} shown as such")
    return wrong


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="mesh-chaos-") as name:
        folder = Path(name)
        home = folder / "mesh"
        home.mkdir(mode=0o700)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "MESH_HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": name,
        }
        seen = asyncio.run(run(folder, env, kills=kills, seed=seed))
    print(f"seed {seed}, {seen.line()}")
    for promise in seen.broken():
        print(promise)
    return int(bool(seen.broken()))


if __name__ == "__main__":
    sys.exit(main())
