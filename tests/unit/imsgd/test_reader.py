"""The reader's patience, with a clock that tests move: what is late is heard, and nothing waits
for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from imsgd.bell import Bell
from imsgd.domain.handles import AllowList
from imsgd.health import Health
from imsgd.inbox import Inbound, Inbox
from imsgd.ledger import hearing
from imsgd.ledger.database import Ledger
from imsgd.reader import FILES_S, LATE_S, Policy, Reader
from imsgd.simulated.archive import write_body
from imsgd.simulated.store import MessageStore, NewRow, Written

OWNER = "+15555550100"
NOW = 1_800_000_000.0


@dataclass
class Clock:
    wall: float = NOW
    mono: float = 50.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


@dataclass
class Bench:
    store: MessageStore
    reader: Reader
    inbox: Inbox
    ledger: Ledger
    health: Health
    clock: Clock

    async def poll(self, after_s: float = 0.0) -> list[str]:
        """Let time pass, look once, and return what waits for the hub by then."""
        self.clock.advance(after_s)
        await self.reader._poll()
        return [item.text for item in self.items]

    @property
    def items(self) -> list[Inbound]:
        return list(self.inbox._items)

    def write(self, text: str | None, **columns: object) -> Written:
        return self.store.insert(
            NewRow(text, self.clock.now(), handle=OWNER, columns=dict(columns))
        )

    async def delivered(self, guid: str) -> None:
        """The hub has it."""
        self.inbox.remove(guid)
        await self.ledger.write(lambda c: hearing.settle(c, guid))


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Bench]:
    store, clock = MessageStore(folder / "chat.db"), Clock()
    store.direct_chat(OWNER)
    ledger, inbox, health = Ledger(folder / "ledger" / "bridge.db"), Inbox(), Health()
    allow = AllowList.of(own=[], others=[OWNER])
    reader = Reader(
        store.path,
        Policy(allow, poll_s=1, late_s=2700),
        ledger=ledger,
        inbox=inbox,
        health=health,
        clock=clock,
        offered=Bell(),
    )
    try:
        yield Bench(store, reader, inbox, ledger, health, clock)
    finally:
        await reader.close()
        await ledger.close()
        store.close()


@pytest.fixture
async def bench(mesh_home: Path) -> AsyncIterator[Bench]:
    async with _opened(mesh_home) as one:
        await one.poll()
        yield one


CHAT = f"iMessage;-;{OWNER}"


@pytest.mark.parametrize("late_s", [1, 29, 31, 300, LATE_S - 20])
async def test_a_join_or_a_body_is_heard_however_late_within_the_look_back(
    bench: Bench, late_s: float
) -> None:
    joinless, bodiless = bench.write("the join"), bench.write(None)
    bench.store.join(bodiless, CHAT)
    assert await bench.poll() == []
    bench.store.join(bench.write("no wait"), CHAT)
    await bench.poll(0.5)  # each incomplete row keeps its place in the order for a moment
    assert await bench.poll(0.5) == ["no wait"]
    for _ in range(3):
        await bench.poll(late_s / 3)
    bench.store.join(joinless, CHAT)
    bench.store.update(bodiless.guid, attributedBody=write_body("the body"))
    assert sorted(await bench.poll()) == ["no wait", "the body", "the join"]


async def test_what_stays_incomplete_is_given_up_and_holds_no_place(bench: Bench) -> None:
    bench.write("never joined")
    await bench.poll()
    bench.write("never joined either")
    await bench.poll(LATE_S + 1)
    session = bench.reader._session
    assert session is not None
    assert len(session.waiting) == 1


@pytest.mark.parametrize("slow_s", [25.0, FILES_S - 5])
async def test_a_slow_photo_is_waited_for(bench: Bench, slow_s: float) -> None:
    written = bench.write("\ufffcWhat is wrong here?")
    number = bench.store.attach(written, None, transfer_name="shed.jpeg")
    bench.store.join(written, CHAT)
    assert await bench.poll() == []
    assert await bench.poll(slow_s) == []
    bench.store.execute(
        "UPDATE attachment SET filename = '/x/shed.jpeg', transfer_state = 5 WHERE ROWID = ?",
        (number,),
    )
    assert await bench.poll() == ["What is wrong here?"]
    there, missing = await bench.reader.files(bench.items[0])
    assert ([one.shown_name for one in there], missing) == (["shed.jpeg"], [])


async def test_a_photo_slower_than_that_is_named_and_added_later(bench: Bench) -> None:
    written = bench.write("\ufffcWhat is wrong here?")
    number = bench.store.attach(written, None, transfer_name="shed.jpeg")
    bench.store.join(written, CHAT)
    await bench.poll()
    assert await bench.poll(FILES_S + 1) == ["What is wrong here?"]
    there, missing = await bench.reader.files(bench.items[0])
    assert (there, [one.shown_name for one in missing]) == ([], ["shed.jpeg"])
    await bench.delivered(written.guid)
    await bench.ledger.write(
        lambda c: hearing.await_files(c, written.guid, [number], now=bench.clock.now())
    )
    bench.store.execute(
        "UPDATE attachment SET filename = '/x/shed.jpeg', transfer_state = 5 WHERE ROWID = ?",
        (number,),
    )
    await bench.poll(300)
    assert [(item.change, item.changes) for item in bench.items] == [("files", written.guid)]
    await bench.poll()
    assert len(bench.items) == 1


async def test_what_a_links_balloon_is_drawn_from_is_no_file(bench: Bench) -> None:
    balloon = "com.apple.messages.URLBalloonProvider"
    written = bench.write("https://example.com/a", balloon_bundle_id=balloon)
    bench.store.attach(written, None, transfer_name="0A1B.pluginPayloadAttachment")
    bench.store.join(written, CHAT)
    assert await bench.poll() == ["https://example.com/a"]
    assert not bench.items[0].has_files


async def test_words_that_come_after_their_photo_are_told(bench: Bench) -> None:
    written = bench.write("\ufffc")
    bench.store.attach(written, bench.store.path)
    bench.store.join(written, CHAT)
    assert await bench.poll() == [""]
    await bench.delivered(written.guid)
    bench.store.update(written.guid, attributedBody=write_body("\ufffcWhat is wrong here?"))
    assert await bench.poll(2) == ["What is wrong here?"]
    assert bench.items[0].change == "edited"
