"""What a node says to a hub that is slow, away, or of another mind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentd import output as output_module
from agentd.journal import Entry, Journal, lost_result, places_in_use
from agentd.output import OutputFeed
from agentd.runners.protocol import TextSaid, ToolEnded, ToolStarted
from agentd.spool import Spool
from common.client import HubError, HubUnreachableError
from common.wire.nodes import Applied, OutputKind, PostOutput, PostResult
from common.wire.tasks import Outcome, Usage
from tests.contract.agentd.agent_process import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AWAY = HubUnreachableError("away")
STALE = HubError("stale", hub_code="fenced", hub_status=409)
REFUSED = HubError("too long", hub_code="invalid", hub_status=400)


class Hub:
    """Fails as told, then takes what it is given."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.outputs: list[PostOutput] = []
        self.tried: list[PostOutput] = []
        self.results: dict[int, PostResult] = {}

    async def output(self, fence: int, output: PostOutput) -> Applied:
        self.tried.append(output)
        if self.failures:
            raise self.failures.pop(0)
        self.outputs.append(output)
        return Applied(status="applied")

    async def result(self, fence: int, result: PostResult) -> Applied:
        if self.failures:
            raise self.failures.pop(0)
        self.results[fence] = result
        return Applied(status="applied")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "FLUSH_S", 0.01)
    monkeypatch.setattr(output_module, "RETRY_FIRST_S", 0.01)


def feed(hub: Hub) -> OutputFeed:
    return OutputFeed(7, hub, lambda: NOW)


async def finished(running: OutputFeed) -> None:
    running.close()
    async with asyncio.timeout(5):
        await running.run()


@pytest.mark.usefixtures("quick")
async def test_crumbs_of_text_are_one_item_and_tools_stand_between() -> None:
    hub = Hub()
    sending = feed(hub)
    for event in (
        TextSaid("a"),
        TextSaid("b"),
        ToolStarted(tool_id="1", tool="Bash", summary="ls"),
        ToolEnded(tool_id="1", tool="Bash", text="x"),
        TextSaid("c"),
        TextSaid("thought", thinking=True),
    ):
        sending.add(event)
    await finished(sending)
    items = [item for batch in hub.outputs for item in batch.items]
    assert [(item.kind, item.text) for item in items] == [
        (OutputKind.TEXT, "ab"),
        (OutputKind.TOOL_START, "ls"),
        (OutputKind.TOOL_END, "x"),
        (OutputKind.TEXT, "c"),
        (OutputKind.THINKING, "thought"),
    ]


@pytest.mark.usefixtures("quick")
async def test_a_batch_that_failed_is_repeated_unchanged_under_its_number() -> None:
    hub = Hub(AWAY, AWAY)
    sending = feed(hub)
    running = asyncio.create_task(sending.run())
    sending.add(TextSaid("first"))
    await until(lambda: hub.tried)
    sending.add(TextSaid("second"))
    sending.close()
    async with asyncio.timeout(5):
        await running
    assert hub.tried[0] == hub.tried[1] == hub.tried[2]
    assert [(batch.first, batch.items[0].text) for batch in hub.outputs] == [
        (0, "first"),
        (1, "second"),
    ]


@pytest.mark.usefixtures("quick")
async def test_a_stale_fence_ends_the_feed() -> None:
    sending = feed(Hub(STALE))
    sending.add(TextSaid("x"))
    await finished(sending)
    assert sending.fenced.is_set()


@pytest.mark.usefixtures("quick")
async def test_a_refused_batch_is_dropped_and_the_next_one_sent() -> None:
    hub = Hub(REFUSED)
    sending = feed(hub)
    for number in range(output_module.BATCH_ITEMS + 1):
        sending.add(ToolStarted(tool_id=str(number), tool="Bash"))
    await finished(sending)
    assert [batch.first for batch in hub.outputs] == [output_module.BATCH_ITEMS]


@pytest.mark.usefixtures("quick")
async def test_the_oldest_output_goes_when_too_much_waits() -> None:
    hub = Hub()
    sending = feed(hub)
    for number in range(output_module.MAX_WAITING + 3):
        sending.add(ToolStarted(tool_id=str(number), tool="Bash"))
    await finished(sending)
    assert hub.outputs[0].first == 3
    assert hub.outputs[0].items[0].tool_id == "3"


RESULT = PostResult(outcome=Outcome.OK, text="done", usage=[Usage(model="m", input_tokens=1)])


async def test_a_result_survives_a_restart_and_is_delivered_once(tmp_path: Path) -> None:
    Spool(tmp_path / "spool", Hub()).put(7, RESULT)
    hub = Hub()
    successor = Spool(tmp_path / "spool", hub)
    assert successor.fences() == [7]
    await successor.deliver()
    assert hub.results == {7: RESULT}
    assert successor.fences() == []
    await successor.emptied()


async def test_the_first_result_of_a_fence_counts(tmp_path: Path) -> None:
    hub = Hub()
    spool = Spool(tmp_path / "spool", hub)
    spool.put(7, RESULT)
    spool.put(7, PostResult(outcome=Outcome.NODE_FAULT))
    await spool.deliver()
    assert hub.results[7].outcome == Outcome.OK


@pytest.mark.parametrize(
    "failure", [AWAY, HubError("busy", hub_code="x", hub_status=507), STALE, REFUSED]
)
async def test_a_result_is_kept_for_a_hub_that_cannot_and_dropped_for_one_that_will_not(
    tmp_path: Path, failure: Exception
) -> None:
    spool = Spool(tmp_path / "spool", Hub(failure))
    spool.put(7, RESULT)
    waits = failure not in (STALE, REFUSED)
    if waits:
        with pytest.raises(type(failure)):
            await spool.deliver()
    else:
        await spool.deliver()
    assert spool.fences() == ([7] if waits else [])


async def test_an_unreadable_result_is_set_aside_and_blocks_nothing(tmp_path: Path) -> None:
    hub = Hub()
    spool = Spool(tmp_path / "spool", hub)
    spool.put(8, RESULT)
    (tmp_path / "spool" / "7.result.json").write_text("{half")
    await spool.deliver()
    assert list(hub.results) == [8]
    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".unreadable"]


def test_what_a_killed_agentd_knew_is_reported_as_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "agentd-A" / "attempts")
    entry = Entry(
        fence=7,
        task_id=4,
        runner="claude",
        folder="/attempts/4/7",
        session_id="s",
        usage=[Usage(model="m", input_tokens=3)],
    )
    journal.write(entry)
    assert Journal(tmp_path / "agentd-A" / "attempts").left_over() == [entry]
    assert places_in_use(tmp_path) == {Path("/attempts/4/7")}
    lost = lost_result(entry)
    assert (lost.outcome, lost.partial, lost.session_id) == (Outcome.LOST, True, "s")
    assert lost.usage == entry.usage
    journal.remove(7)
    assert journal.left_over() == []
