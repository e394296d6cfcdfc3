"""What a node says to a hub that is slow, away, or of another mind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd import output as output_module
from agentd.fitting import CUT, encodable, fit
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
async def test_a_refused_batch_leaves_no_hole_and_ends_nothing() -> None:
    hub = Hub(REFUSED)
    sending = feed(hub)
    for number in range(output_module.BATCH_ITEMS + 1):
        sending.add(ToolStarted(tool_id=str(number), tool="Bash"))
    await finished(sending)
    assert [batch.first for batch in hub.outputs] == [0, 1]
    assert hub.outputs[0].items[0].text == "200 pieces of output could not be shown"
    assert not sending.fenced.is_set()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("code", ["conflict", "not_a_hub"])
async def test_only_the_hub_that_says_so_has_fenced_an_attempt(code: str) -> None:
    hub = Hub(HubError("no", hub_code=code, hub_status=409))
    sending = feed(hub)
    sending.add(TextSaid("x"))
    await finished(sending)
    assert hub.outputs
    assert not sending.fenced.is_set()


@pytest.mark.usefixtures("quick")
async def test_the_oldest_output_goes_when_too_much_waits_and_that_is_said() -> None:
    hub = Hub()
    sending = feed(hub)
    for number in range(output_module.MAX_WAITING + 3):
        sending.add(ToolStarted(tool_id=str(number), tool="Bash"))
    await finished(sending)
    first = hub.outputs[0]
    assert (first.first, first.items[1].tool_id) == (0, "3")
    assert first.items[0].text == "3 pieces of output were dropped while the hub was away"


@pytest.mark.usefixtures("quick")
async def test_what_is_sent_is_never_more_than_the_hub_takes() -> None:
    hub = Hub()
    sending = feed(hub)
    for number in range(40):
        sending.add(ToolEnded(tool_id="1" * 999, tool="Bash", text="\x01日" * 90_000))
        sending.add(TextSaid(f"{number} \ud83d"))
    await finished(sending)
    firsts = [batch.first for batch in hub.outputs]
    counts = [len(batch.items) for batch in hub.outputs]
    assert firsts == [sum(counts[:at]) for at in range(len(counts))]
    assert sum(counts) == 80
    for batch in hub.outputs:
        body = msgspec.json.encode(batch)
        assert len(body) < 2**20
        assert msgspec.json.decode(body, type=PostOutput) == batch


@given(st.text(st.characters(), max_size=300), st.integers(60, 2000))
def test_a_text_is_cut_to_the_bytes_it_may_have(text: str, limit: int) -> None:
    kept = fit(text, limit)
    assert len(msgspec.json.encode(kept)) <= limit
    whole = encodable(text)
    assert kept == whole or (kept.endswith(CUT) and whole.startswith(kept.removesuffix(CUT)))


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


def _said(code: str, status: int) -> HubError:
    return HubError("no", hub_code=code, hub_status=status)


KEEPING = {
    "away": AWAY,
    "busy": _said("storage_full", 507),
    "another server: not found": _said("not_a_hub", 404),
    "another server: all is well": _said("bad_answer", 200),
    "another server: moved": _said("not_a_hub", 302),
    "the wrong host": _said("foreign_host", 421),
    "a token revoked": _said("unauthorized", 401),
    "a token of another role": _said("forbidden", 403),
}


@pytest.mark.parametrize("failure", KEEPING.values(), ids=KEEPING.keys())
async def test_a_result_waits_until_the_hub_itself_answers_for_it(
    tmp_path: Path, failure: Exception
) -> None:
    hub = Hub(failure)
    spool = Spool(tmp_path / "spool", hub)
    spool.put(7, RESULT)
    with pytest.raises(type(failure)):
        await spool.deliver()
    assert spool.fences() == [7]
    await spool.deliver()
    assert hub.results == {7: RESULT}


@pytest.mark.parametrize("code", ["fenced", "conflict"])
async def test_a_result_of_an_attempt_that_is_over_is_not_wanted(tmp_path: Path, code: str) -> None:
    spool = Spool(tmp_path / "spool", Hub(_said(code, 409)))
    spool.put(7, RESULT)
    await spool.deliver()
    assert list((tmp_path / "spool").iterdir()) == []


async def test_one_result_that_must_wait_holds_up_no_other(tmp_path: Path) -> None:
    hub = Hub(_said("internal", 500))
    spool = Spool(tmp_path / "spool", hub)
    spool.put(7, RESULT)
    spool.put(8, RESULT)
    with pytest.raises(HubError):
        await spool.deliver()
    assert (spool.fences(), list(hub.results)) == ([7], [8])


@pytest.mark.parametrize("code", ["bad_request", "invalid", "too_large"])
@pytest.mark.parametrize("refusals", [1, 2, 3])
async def test_a_result_the_hub_refuses_still_ends_its_task(
    tmp_path: Path, code: str, refusals: int
) -> None:
    hub = Hub(*[_said(code, 422)] * refusals)
    spool = Spool(tmp_path / "spool", hub)
    spool.put(7, msgspec.structs.replace(RESULT, text="x" * 100_000))
    await spool.deliver()
    assert spool.fences() == []
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["7.result.refused"]
    said = hub.results.get(7)
    if refusals == 1:
        assert said is not None
        assert (said.outcome, said.usage, len(said.text) < 30_000) == ("ok", RESULT.usage, True)
    if refusals == 2:
        assert said is not None
        assert said.outcome == Outcome.PERMANENT


async def test_a_result_the_disk_does_not_take_waits_in_memory(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    hub = Hub(AWAY)
    spool = Spool(tmp_path / "spool", hub)
    with full_disk():
        assert not spool.put(7, RESULT)
        assert spool.fences() == [7]
        with pytest.raises(HubUnreachableError):
            await spool.deliver()
    assert list((tmp_path / "spool").iterdir()) == []
    hub.failures = [AWAY]
    with pytest.raises(HubUnreachableError):
        await spool.deliver()
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["7.result.json"]
    await spool.deliver()
    assert (hub.results, spool.fences()) == ({7: RESULT}, [])


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
