"""The circuit breaker of a node: rules B1 to B10, one by one and all together."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import BreakerConfig
from common.wire.nodes import BreakerState
from common.wire.tasks import Outcome
from hubd.domain import breaker
from hubd.domain.breaker import Probe
from hubd.domain.records import BreakerRecord

CONFIG = BreakerConfig(threshold=3, window_s=600, cooldown_s=60, cap_s=3600, jitter=0.2)
CLOSED = BreakerRecord(node="rex")
NEUTRAL = [
    Outcome.PROVIDER_LIMIT, Outcome.PROVIDER_BUSY, Outcome.NEEDS_LOGIN, Outcome.INTERRUPTED,
    Outcome.KILLED, Outcome.LOST, Outcome.PARKED,
]  # fmt: skip


def fail(record: BreakerRecord, now: float, fence: int = 1) -> BreakerRecord:
    return breaker.on_outcome(
        record, fence, Outcome.NODE_FAULT, now, CONFIG, random.Random(1), evidence=f"at {now:g}"
    )


def end(record: BreakerRecord, outcome: str, now: float, fence: int = 1) -> BreakerRecord:
    return breaker.on_outcome(record, fence, outcome, now, CONFIG, random.Random(1))


def opened(now: float = 0.0) -> BreakerRecord:
    record = CLOSED
    for step in range(CONFIG.threshold):
        record = fail(record, now + step)
    assert record.state is BreakerState.OPEN
    return record


def probing(fence: int = 50) -> tuple[BreakerRecord, float]:
    record = opened()
    now = (record.until or 0.0) + 1
    return breaker.on_lease(record, fence, now, CONFIG), now


def test_it_opens_at_the_threshold_and_not_before() -> None:
    record = fail(fail(CLOSED, 0.0), 1.0)
    assert record.state is BreakerState.CLOSED
    assert fail(record, 2.0).state is BreakerState.OPEN


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.TASK_ERROR, Outcome.PERMANENT])
def test_a_sign_of_health_between_faults_starts_the_count_anew(outcome: Outcome) -> None:
    record = end(fail(fail(CLOSED, 0.0), 1.0), outcome, 2.0)
    assert record.fails == 0
    assert fail(fail(record, 3.0), 4.0).state is BreakerState.CLOSED


def test_faults_further_apart_than_the_window_do_not_add_up() -> None:
    record = fail(fail(CLOSED, 0.0), 1.0)
    assert fail(record, 601.0).state is BreakerState.CLOSED


@pytest.mark.parametrize("outcome", NEUTRAL)
def test_what_is_not_the_nodes_fault_changes_nothing(outcome: Outcome) -> None:
    record = fail(fail(CLOSED, 0.0), 1.0)
    assert end(record, outcome, 2.0) == record


def test_the_cooldown_doubles_with_every_opening_up_to_its_cap() -> None:
    rng = random.Random(3)
    for opens in range(1, 12):
        pause_s = breaker.cooldown_s(opens, CONFIG, rng)
        base = min(60 * 2 ** (opens - 1), 3600)
        assert 0.8 * base <= pause_s <= 1.2 * base


def test_it_admits_nothing_before_its_time_and_one_probe_after() -> None:
    record = opened()
    until = record.until or 0.0
    assert not breaker.admits(record, until - 0.1)
    assert breaker.admits(record, until)
    half = breaker.on_lease(record, 50, until, CONFIG)
    assert half.state is BreakerState.HALF_OPEN
    assert not breaker.admits(half, until + 1)


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.TASK_ERROR, Outcome.PERMANENT])
def test_a_probe_that_shows_health_closes_it(outcome: Outcome) -> None:
    record, now = probing(50)
    closed = end(record, outcome, now + 5, fence=50)
    assert closed.state is BreakerState.CLOSED
    assert closed.opens == 1


def test_a_probe_that_fails_opens_it_for_longer() -> None:
    record, now = probing(50)
    again = fail(record, now + 5, fence=50)
    assert again.state is BreakerState.OPEN
    assert again.opens == 2
    assert (again.until or 0) - (now + 5) > 60 * 2 * 0.79


@pytest.mark.parametrize("outcome", NEUTRAL)
def test_a_probe_that_says_nothing_frees_its_place(outcome: Outcome) -> None:
    record, now = probing(50)
    freed = end(record, outcome, now + 5, fence=50)
    assert freed.state is BreakerState.HALF_OPEN
    assert breaker.admits(freed, now + 5)


def test_a_probe_that_ended_unseen_is_freed() -> None:
    record, now = probing(50)
    freed = breaker.on_tick(record, now + 1, CONFIG, Probe.OVER)
    assert breaker.admits(freed, now + 1)


def test_a_probe_that_runs_long_enough_closes_it_and_is_never_joined_by_another() -> None:
    record, now = probing(50)
    for probe in (Probe.RUNNING, Probe.SILENT):
        assert breaker.on_tick(record, now + CONFIG.probe_s - 1, CONFIG, probe) == record
    assert breaker.on_tick(record, now + 10 * CONFIG.probe_s, CONFIG, Probe.SILENT) == record
    closed = breaker.on_tick(record, now + CONFIG.probe_s, CONFIG, Probe.RUNNING)
    assert closed.state is BreakerState.CLOSED


def test_what_still_ran_when_it_opened_neither_closes_nor_reopens_it() -> None:
    record = opened()
    assert end(record, Outcome.OK, 10.0, fence=9) == record
    assert fail(record, 10.0, fence=9).opens == record.opens
    half, now = probing(50)
    assert end(half, Outcome.OK, now, fence=9) == half
    assert fail(half, now, fence=9) == half


def test_openings_are_forgotten_one_by_one_in_healthy_time() -> None:
    record = replace(CLOSED, opens=3, healthy_since=0.0)
    later = breaker.on_tick(record, 2 * CONFIG.decay_s + 1, CONFIG)
    assert later.opens == 1
    assert breaker.on_tick(later, 3 * CONFIG.decay_s + 1, CONFIG).opens == 0


def test_a_clock_that_jumped_back_cannot_keep_it_open_beyond_its_cap() -> None:
    record = opened(now=1_000_000.0)
    clamped = breaker.on_tick(record, 0.0, CONFIG)
    assert clamped.until == CONFIG.cap_s * 1.2


def test_an_operator_closes_it_and_its_history_is_forgotten() -> None:
    record = breaker.reset(fail(opened(), 10.0), 20.0)
    assert (record.state, record.opens, record.fails) == (BreakerState.CLOSED, 0, 0)


def test_it_keeps_the_last_three_pieces_of_evidence() -> None:
    record = fail(opened(), 99.0)
    assert record.evidence == ("at 1", "at 2", "at 99")


events = st.lists(
    st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 4000), st.booleans()), max_size=60
)


@given(events)
def test_whatever_happens_it_has_one_probe_and_opens_only_for_faults(
    story: list[tuple[Outcome, float, bool]],
) -> None:
    record, now, fence, faults, live = CLOSED, 0.0, 0, 0, set()
    for outcome, pause_s, lease in story:
        now += pause_s
        probe = Probe.SILENT if record.probe_fence in live else Probe.OVER
        record = breaker.on_tick(record, now, CONFIG, probe)
        if lease and breaker.admits(record, now):
            fence += 1
            was = record.state
            record = breaker.on_lease(record, fence, now, CONFIG)
            live = live | {fence} if was is BreakerState.CLOSED else {fence}
        elif live:
            ended = min(live)
            live = live - {ended}
            faults += outcome is Outcome.NODE_FAULT
            before = record
            record = end(record, outcome, now, fence=ended)
            if record.opens > before.opens:
                assert outcome is Outcome.NODE_FAULT
        if record.state is BreakerState.OPEN:
            assert faults > 0
            assert record.until is not None
        if record.state is not BreakerState.HALF_OPEN:
            assert record.probe_fence is None
