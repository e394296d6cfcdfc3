"""The books: every view of what was spent shows the same, running spend counts, nothing twice."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.fold import FoldedState
from common.wire.approvals import ApprovalKind, ApprovalState
from common.wire.events import Event
from common.wire.nodes import HeartbeatReply, UsageSoFar
from common.wire.tasks import TaskState
from common.wire.usage import Usage
from hubd.domain import money
from hubd.domain.prices import estimate_usd
from hubd.errors import FencedError
from hubd.services.money import GroupBy
from hubd.store import migrate
from tests.unit.hubd.hub import CONFIG, FakeClock, Hub, configured, open_hub

DAY_S = 86_400.0


def used(usd: float | None = None, *, model: str = "odd", tokens: int = 10) -> list[Usage]:
    return [Usage(model=model, input_tokens=tokens, output_tokens=1, cost_usd=usd)]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with open_hub(tmp_path / "hub.db", estimate=estimate_usd) as opened:
        await opened.node("rex", slots=8)
        yield opened


async def running(hub: Hub, on: str = "rex", **fields: object) -> int:
    """The fence of a task that runs."""
    await hub.submit(**fields)
    (lease,) = await hub.claim(on, free=1)
    await hub.start(lease.fence, on)
    return lease.fence


async def report(hub: Hub, fence: int, usage: list[Usage], node: str = "rex") -> HeartbeatReply:
    hub.clock.advance(10.0)
    said = [UsageSoFar(fence=fence, usage=usage)]
    reply: HeartbeatReply = await hub.beat(node, fence, usage=said)
    return reply


async def lose(hub: Hub) -> None:
    """Nobody is heard from until every attempt is given up."""
    for pause_s in (0.0, 2 * CONFIG.hub.lease_s + 1.0, 1.0, CONFIG.hub.lost_after_s + 1.0):
        await hub.tick(pause_s)


async def assert_all_views_agree(hub: Hub) -> None:
    """Every grouping, the tasks' own sums and the days' have one total, in dollars and tokens."""
    whole = (await hub.services.money.costs(GroupBy.NODE)).total
    for by in GroupBy:
        found = await hub.services.money.costs(by)
        assert found.total == whole
        assert sum(r.cost_usd or 0.0 for r in found.rows) == pytest.approx(whole.cost_usd or 0.0)
        for kind in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
            assert sum(getattr(r, kind) for r in found.rows) == getattr(whole, kind)
        if by is not GroupBy.MODEL:
            assert sum(r.attempts for r in found.rows) == whole.attempts
            unknown = sum(r.unknown_cost_attempts for r in found.rows)
            assert unknown == whole.unknown_cost_attempts
    snapshot = await hub.services.control.snapshot()
    details = [await hub.task(task.id) for task in snapshot.tasks]
    assert sum(t.cost_usd or 0.0 for t in details) == pytest.approx(whole.cost_usd or 0.0)
    assert sum(t.unknown_cost_attempts for t in details) == whole.unknown_cost_attempts
    attempts = [a for t in details for a in t.attempts]
    assert sum(a.cost_usd or 0.0 for a in attempts) == pytest.approx(whole.cost_usd or 0.0)
    today = (await hub.services.money.costs(GroupBy.DAY, days=1)).total
    spend = snapshot.spend
    assert spend.cost_usd == pytest.approx(today.cost_usd or 0.0)
    assert spend.unknown_cost_attempts == today.unknown_cost_attempts
    assert spend.input_tokens == today.input_tokens
    assert spend == await hub.services.money.today()


# -- one figure -----------------------------------------------------------------------------

figures = st.none() | st.sampled_from([0.0, 0.01, 0.25, 3.5])
usages = st.lists(
    st.builds(
        Usage,
        model=st.sampled_from(["odd", "gpt-5.5", "openai/gpt-5.5", "claude-sonnet-5-5"]),
        input_tokens=st.integers(0, 10**6),
        output_tokens=st.integers(0, 10**4),
        cache_write_tokens=st.integers(0, 10**5),
        cache_write_1h_tokens=st.integers(0, 10**5),
        cost_usd=figures,
    ),
    max_size=4,
)
ends = st.sampled_from(["ok", "killed", "task_error", "permanent", "lost", "stale", "runs on"])
lives = st.lists(
    st.tuples(st.lists(usages, max_size=2), ends, usages, figures, st.booleans(), st.booleans()),
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(lives)
async def test_every_view_shows_the_same_sum(
    tmp_path_factory: pytest.TempPathFactory,
    lives: list[tuple[list[list[Usage]], str, list[Usage], float | None, bool, bool]],
) -> None:
    """Today, Runs, by task, day, node, specialist, model and conversation: runs that are fenced,
    killed, lost, unknown, tried again, running, and on both sides of midnight."""
    path = tmp_path_factory.mktemp("books") / "hub.db"
    async with open_hub(path, estimate=estimate_usd, clock=FakeClock()) as hub:
        for number, (reports, end, last, cost, partial, midnight) in enumerate(lives):
            node = f"n{number}"
            await hub.node(node, specialists=["critic"], account=node)
            who = {"specialist": "critic"} if number % 2 else {}
            fence = await running(hub, node, node=node, **who)
            for usage in reports:
                await report(hub, fence, usage, node)
            if midnight:
                hub.clock.advance(DAY_S / 2)
            await assert_all_views_agree(hub)
            if end in ("lost", "stale"):
                await lose(hub)
            if end not in ("lost", "runs on"):
                fields = {"usage": last, "cost_usd": cost, "partial": partial}
                try:
                    await hub.result(fence, node, "ok" if end == "stale" else end, **fields)
                except FencedError:
                    assert end == "stale"
            await hub.tick(1.0)
        await assert_all_views_agree(hub)


def test_the_parts_of_an_attempt_add_up_to_what_it_counts_with() -> None:
    parts = [Usage(model="a", cost_usd=1.0), Usage(model="b", input_tokens=5)]
    bill = money.bill(parts, 4.0, lambda _: None)
    assert [share.counted_usd for share in bill.shares] == [4.0, 0.0]
    nothing = money.bill([Usage(model="a", input_tokens=1), Usage(model="b")], 2.0, lambda _: None)
    assert [share.counted_usd for share in nothing.shares] == [2.0, 0.0]
    half = money.bill(parts, None, lambda _: None).totals
    assert (half.counted_usd, half.unknown) == (1.0, True)


def test_a_model_that_is_named_twice_is_one_sum() -> None:
    (item,) = money.by_model([*used(0.5, tokens=3), *used(0.25, tokens=4)])
    assert (item.input_tokens, item.cost_usd) == (7, 0.75)


async def test_a_runner_without_a_figure_of_its_own_counts_with_our_estimate(hub: Hub) -> None:
    """Codex showed $0.00 by model and node, and "Today" and "Runs" differed."""
    fence = await running(hub, specialist=None)
    usage = [Usage(model="gpt-5.5", input_tokens=1_000_000)]
    await hub.result(fence, "rex", usage=usage)
    task = await hub.task(1)
    assert (task.cost_usd, task.attempts[0].cost_usd) == (5.0, 5.0)
    for by in GroupBy:
        (row,) = (await hub.services.money.costs(by)).rows
        assert (row.cost_usd, row.unknown_cost_attempts) == (5.0, 0)
    assert "Today $5.00\nRuns: $5.00, 1 runs" in (await hub.say("cost"))[0]


async def test_what_nobody_knows_is_unknown_and_never_zero(hub: Hub) -> None:
    await hub.say("tidy")
    (lease,) = await hub.claim("rex", free=1)
    await hub.start(lease.fence, "rex")
    await hub.result(lease.fence, "rex", usage=used(None), partial=True)
    assert "cost unknown" in (await hub.replies())[-1]
    task = await hub.task(1)
    assert (task.cost_usd, task.unknown_cost_attempts, task.attempts[0].cost_usd) == (None, 1, None)
    for by in GroupBy:
        (row,) = (await hub.services.money.costs(by)).rows
        assert (row.cost_usd, row.unknown_cost_attempts) == (None, 1)
    assert "Today unknown, 1 run of unknown cost" in (await hub.say("cost"))[0]
    assert "#1 cost unknown" in (await hub.say("cost 1"))[0]
    await hub.result(await running(hub), "rex", cost_usd=0.5)
    assert "Today at least $0.50, 1 run of unknown cost" in (await hub.say("cost"))[0]


async def test_every_task_that_ran_shows_a_cost_even_without_any_usage(hub: Hub) -> None:
    await hub.result(await running(hub), "rex")
    assert (await hub.task(1)).cost_usd is None
    await hub.result(await running(hub), "rex", cost_usd=0.0)
    assert (await hub.task(2)).cost_usd == 0.0


# -- running spend --------------------------------------------------------------------------


async def test_a_running_task_shows_what_it_used_so_far_and_its_result_replaces_it(
    hub: Hub,
) -> None:
    fence = await running(hub)
    await report(hub, fence, used(1.5, tokens=100))
    task, spend = await hub.task(1), await hub.services.money.today()
    assert (task.cost_usd, task.input_tokens, task.attempts[0].partial) == (1.5, 100, True)
    assert (spend.cost_usd, spend.running_usd) == (1.5, 1.5)
    (row,) = (await hub.services.money.costs(GroupBy.MODEL)).rows
    assert (row.key, row.cost_usd, row.running_attempts) == ("odd", 1.5, 1)
    assert "Today $1.50, $1.50 of it running" in (await hub.say("status"))[0]
    await hub.result(fence, "rex", usage=used(2.0, tokens=140))
    task, spend = await hub.task(1), await hub.services.money.today()
    assert (task.cost_usd, task.input_tokens, task.attempts[0].partial) == (2.0, 140, False)
    assert (spend.cost_usd, spend.running_usd, spend.input_tokens) == (2.0, 0.0, 140)


async def test_a_lost_attempt_costs_what_was_last_seen(hub: Hub) -> None:
    fence = await running(hub)
    await report(hub, fence, used(1.5))
    await report(hub, fence, used(1.504))  # less than a cent more: nobody is told yet
    assert (await hub.task(1)).cost_usd == 1.5
    await lose(hub)
    task = await hub.task(1)
    assert (task.attempts[0].outcome, task.attempts[0].partial) == ("lost", True)
    assert task.cost_usd == 1.504
    with pytest.raises(FencedError):
        await hub.result(fence, "rex", "lost", usage=used(1.504), partial=True)
    assert (await hub.task(1)).cost_usd == 1.504, "the journal of a killed agent says the same"
    await assert_all_views_agree(hub)


async def test_an_attempt_that_was_lost_in_silence_cost_something_nobody_knows(hub: Hub) -> None:
    await running(hub)
    await lose(hub)
    task = await hub.task(1)
    assert (task.cost_usd, task.unknown_cost_attempts) == (None, 1)


@pytest.mark.parametrize("said", [[], used(0.2, tokens=3)])
async def test_a_result_that_knows_less_than_was_reported_takes_nothing_away(
    hub: Hub, said: list[Usage]
) -> None:
    fence = await running(hub)
    await report(hub, fence, used(1.5, tokens=100))
    await hub.result(fence, "rex", "node_fault", usage=said, partial=bool(said))
    task = await hub.task(1)
    assert (task.cost_usd, task.input_tokens, task.attempts[0].partial) == (1.5, 100, True)


async def test_a_report_behind_the_result_or_of_a_strange_node_changes_nothing(hub: Hub) -> None:
    await hub.node("archon")
    fence = await running(hub)
    await report(hub, fence, used(9.0), node="archon")
    assert (await hub.task(1)).cost_usd == 0.0
    await hub.result(fence, "rex", usage=used(2.0))
    await report(hub, fence, used(9.0))
    await report(hub, 4711, used(9.0))
    assert (await hub.task(1)).cost_usd == 2.0


async def test_heartbeats_make_no_events_until_what_is_shown_changes(hub: Hub) -> None:
    fence = await running(hub)
    await report(hub, fence, used(1.0))
    before = (await hub.services.control.snapshot()).last_event_id
    for cents in range(5):
        await report(hub, fence, used(1.0 + cents / 1000))
    assert (await hub.services.control.snapshot()).last_event_id == before
    await report(hub, fence, used(1.02))
    assert (await hub.services.control.snapshot()).last_event_id != before
    told = (await hub.services.control.snapshot()).last_event_id
    hub.clock.advance(60.0)
    await report(hub, fence, used(1.021))
    assert (await hub.services.control.snapshot()).last_event_id != told, "sooner or later, all"


async def test_clients_fold_running_spend(hub: Hub) -> None:
    start = await hub.services.control.snapshot()
    state = FoldedState.of(start)
    fence = await running(hub)
    await report(hub, fence, used(1.5))
    now_is = await hub.services.control.snapshot()
    async with aclosing(hub.services.feed.follow(start.last_event_id)) as items:
        async for item in items:
            if isinstance(item, Event):
                state.apply(item)
            if state.last_event_id == now_is.last_event_id:
                break
    assert state.spend == now_is.spend
    assert (state.spend.running_usd, state.tasks[1].cost_usd) == (1.5, 1.5)


# -- caps -----------------------------------------------------------------------------------


async def test_a_run_that_passes_its_tasks_cap_is_ended_whatever_its_runner(hub: Hub) -> None:
    fence = await running(hub, max_cost_usd=2.0)
    assert (await report(hub, fence, used(1.99))).kill == []
    assert (await report(hub, fence, used(2.01))).kill == [fence]
    assert (await hub.beat("rex", fence)).kill == [fence], "until it is over"
    await hub.result(fence, "rex", "killed", usage=used(2.1), partial=True)
    task = await hub.task(1)
    assert (task.state, task.cost_usd) == (TaskState.FAILED, 2.1)
    said = "stopped: it cost more than its cap of $2.00. Continue it with a higher budget."
    assert task.error == said


async def test_a_run_that_was_done_before_the_order_reached_it_is_done(hub: Hub) -> None:
    fence = await running(hub, max_cost_usd=2.0)
    await report(hub, fence, used(2.01))
    await hub.result(fence, "rex", "ok", usage=used(2.01))
    assert (await hub.task(1)).state is TaskState.SUCCEEDED


async def test_a_tasks_cap_holds_over_all_its_attempts(hub: Hub) -> None:
    fence = await running(hub, max_cost_usd=2.0)
    await hub.result(fence, "rex", "task_error", usage=used(1.5))
    await hub.tick(60.0)
    await hub.beat("rex")
    (lease,) = await hub.claim("rex", free=1)
    assert lease.task.max_cost_usd == 0.5, "the runner is told what is left"
    await hub.start(lease.fence, "rex")
    assert (await report(hub, lease.fence, used(0.51))).kill == [lease.fence]


async def test_running_spend_that_passes_the_days_cap_stops_dispatch_and_asks(
    tmp_path: Path,
) -> None:
    config = configured(budget={"per_day_usd": 3.0})
    async with open_hub(tmp_path / "hub.db", config=config) as hub:
        await hub.node("rex")
        fence = await running(hub)
        await report(hub, fence, used(3.5))
        await hub.submit()
        assert await hub.claim("rex") == []
        assert (await hub.services.money.today()).capped
        (question,) = (await hub.services.approvals.list(ApprovalState.PENDING)).approvals
        assert question.kind is ApprovalKind.BUDGET
        await hub.result(fence, "rex", usage=used(2.5))
        assert not (await hub.services.money.today()).capped
        assert len(await hub.claim("rex")) == 1


# -- old databases --------------------------------------------------------------------------


def test_old_books_are_brought_to_one_figure_and_one_count_of_cache_writes() -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    steps = migrate.migrations()
    for number, script in steps:
        if number < 4:
            conn.executescript(script)
    rows = [  # fence, own, estimate, cache writes with the hour's part twice
        (1, 0.5, 0.8, 150), (2, None, 0.25, 0), (3, None, None, 0), (4, 3.0, None, 0),
    ]  # fmt: skip
    for fence, own, estimate, written in rows:
        conn.execute(
            "INSERT INTO costs (fence, task_id, node, at, day, cost_usd, estimate_usd,"
            " input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, partial, fenced)"
            " VALUES (?, 1, 'rex', 5.0, '2026-01-01', ?, ?, 1, 1, 1, ?, 0, 0)",
            (fence, own, estimate, written),
        )
    usage = [
        (1, "a", 100, 50, 0.5), (2, "a", 0, 0, None), (3, "a", 0, 0, None),
        (4, "a", 0, 0, 1.0), (4, "b", 20, 30, 0.5),
    ]  # fmt: skip
    for fence, model, written, hour, own in usage:
        conn.execute(
            "INSERT INTO usage VALUES (?, ?, 1, 1, 1, ?, ?, ?, ?)",
            (fence, model, written, hour, own, 0.25 if fence == 2 else None),
        )
    conn.execute("INSERT INTO days VALUES ('2026-01-01', 9, 1, 4, 4, 4, 150)")
    migrate.migrate(conn)
    costs = conn.execute("SELECT counted_usd, unknown, cache_write_tokens FROM costs").fetchall()
    assert costs == [(0.5, 0, 100), (0.25, 0, 0), (0.0, 1, 0), (3.0, 0, 50)]
    parts = conn.execute("SELECT fence, sum(counted_usd) FROM usage GROUP BY fence").fetchall()
    assert parts == [(1, 0.5), (2, 0.25), (3, 0.0), (4, pytest.approx(3.0))]
    day = conn.execute("SELECT cost_usd, unknown, lifted_usd, cache_write_tokens FROM days")
    assert day.fetchall() == [(3.75, 1, 1, 150)]
    conn.close()
