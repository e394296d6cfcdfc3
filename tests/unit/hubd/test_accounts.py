"""The provider account: paused until its reset, then one task first, then one at a time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import BreakerConfig
from common.wire.nodes import AccountState
from common.wire.tasks import Outcome
from hubd.domain import accounts
from hubd.domain.records import AccountRecord

CONFIG = BreakerConfig(stagger_s=20, account_pause_s=900, account_pause_cap_s=7200)
MAIN = AccountRecord(name="main")


def end(
    record: AccountRecord, outcome: str, now: float, fence: int = 1, resets_at: float | None = None
) -> AccountRecord:
    return accounts.on_outcome(record, fence, outcome, now, CONFIG, resets_at=resets_at)


def test_a_limit_pauses_it_until_the_reset() -> None:
    paused = end(MAIN, Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    assert not accounts.permit(paused, 599.9).ok
    assert accounts.permit(paused, 599.9).until == 600.0
    assert accounts.permit(paused, 600.0).ok


def test_a_limit_without_a_reset_time_pauses_it_longer_each_time() -> None:
    pauses, record, now = [], MAIN, 0.0
    for _ in range(5):
        record = end(record, Outcome.PROVIDER_LIMIT, now)
        pauses.append((record.paused_until or 0.0) - now)
        now = record.paused_until or 0.0
        record = accounts.on_lease(record, 1, now, CONFIG)
    assert pauses == [900, 1800, 3600, 7200, 7200]


def test_several_attempts_that_meet_the_same_limit_pause_it_once() -> None:
    record = end(MAIN, Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    again = end(record, Outcome.PROVIDER_LIMIT, 1.0, fence=2, resets_at=590.0)
    assert (again.paused_until, again.pauses) == (600.0, 1)


def test_after_the_reset_one_task_goes_first_and_the_rest_follow_one_by_one() -> None:
    record = end(MAIN, Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    record = accounts.on_lease(record, 7, 600.0, CONFIG)
    assert not accounts.permit(record, 700.0).ok
    record = end(record, Outcome.OK, 650.0, fence=7)
    starts, now = [], 650.0
    while record.restarting:
        if accounts.permit(record, now).ok:
            starts.append(now)
            record = accounts.on_lease(record, 100 + len(starts), now, CONFIG)
        now += 1.0
    assert len(starts) == accounts.RAMP_STARTS - 1
    assert all(later - earlier >= 20 for earlier, later in pairwise(starts))
    assert accounts.permit(record, now) == accounts.Permit(True)


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.NODE_FAULT, Outcome.LOST])
def test_a_first_task_that_never_met_the_provider_is_followed_by_another_first(
    outcome: Outcome,
) -> None:
    record = end(MAIN, Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    record = accounts.on_lease(record, 7, 600.0, CONFIG)
    record = end(record, outcome, 610.0, fence=7)
    assert accounts.permit(record, 610.0).ok
    record = accounts.on_lease(record, 8, 610.0, CONFIG)
    assert not accounts.permit(record, 611.0).ok


def test_a_lost_login_blocks_it_until_somebody_resumes_it() -> None:
    record = end(MAIN, Outcome.NEEDS_LOGIN, 0.0)
    assert not accounts.permit(record, 1e9).ok
    assert end(record, Outcome.PROVIDER_LIMIT, 5.0, resets_at=10.0).state is AccountState.BLOCKED
    assert accounts.permit(accounts.resume(record, 10.0), 10.0).ok


def test_an_account_nobody_heard_of_is_fine() -> None:
    assert accounts.permit(None, 0.0).ok


@given(st.lists(st.tuples(st.sampled_from(list(Outcome)), st.floats(0, 2000), st.booleans())))
def test_no_start_is_ever_permitted_before_the_end_of_a_pause(
    story: list[tuple[Outcome, float, bool]],
) -> None:
    record, now, fence, promised = MAIN, 0.0, 0, 0.0
    live: set[int] = set()
    for outcome, pause_s, lease in story:
        now += pause_s
        if lease and accounts.permit(record, now).ok:
            assert now >= promised
            fence += 1
            live.add(fence)
            record = accounts.on_lease(record, fence, now, CONFIG)
        elif live:
            ended = live.pop()
            resets_at = now + 500.0
            record = end(record, outcome, now, fence=ended, resets_at=resets_at)
            if outcome is Outcome.PROVIDER_LIMIT and record.state is AccountState.PAUSED:
                promised = max(promised, resets_at)
