"""Accounts: trouble stays where it was met, one task tries again, the rest follow one by one."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import BreakerConfig
from common.wire.nodes import AccountState, Scope
from common.wire.tasks import Outcome
from hubd.domain import accounts
from hubd.domain.accounts import Permit, Report
from hubd.domain.breaker import Probe
from hubd.domain.records import AccountRecord

CONFIG = BreakerConfig(stagger_s=20, account_pause_s=900, account_pause_cap_s=7200, jitter=0.0)
NODES = ("archon", "rex", "crucible")


class Login:
    """The rows of the login `main`, as the hub keeps them."""

    def __init__(self) -> None:
        self.rows: dict[str, AccountRecord] = {}
        self.rng = random.Random(1)
        self.fence = 0

    def may(self, node: str, now: float, model: str | None = None) -> Permit:
        return accounts.permits(self.rows, "main", node, model, now)

    def lease(self, node: str, now: float, model: str | None = None) -> int:
        assert self.may(node, now, model).ok
        self.fence += 1
        for row in accounts.lease(self.rows, "main", node, model, self.fence, now, CONFIG):
            self.rows[row.name] = row
        return self.fence

    def end(
        self, fence: int, outcome: Outcome | None, now: float, node: str = "rex", **more: Any
    ) -> AccountRecord | None:
        report = Report(
            login="main",
            node=node,
            fence=fence,
            outcome=outcome,
            **({"met": outcome is Outcome.OK} | more),
        )
        settled = accounts.settle(self.rows, report, now, CONFIG, self.rng)
        self.rows |= {row.name: row for row in settled.changed}
        return settled.refused

    def run(self, node: str, outcome: Outcome, now: float, **more: Any) -> AccountRecord | None:
        return self.end(self.lease(node, now, more.get("model")), outcome, now, node, **more)


@pytest.fixture
def main() -> Login:
    return Login()


def test_a_limit_pauses_the_whole_login_until_the_reset(main: Login) -> None:
    main.run("rex", Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    until = main.may("archon", 599.0).until
    assert until is not None
    assert 600.0 <= until <= 660.0
    assert not main.may("archon", until - 1).ok
    assert main.may("rex", until).ok


def test_a_limit_without_a_reset_time_pauses_it_longer_each_time(main: Login) -> None:
    pauses, now = [], 0.0
    for _ in range(5):
        refused = main.run("rex", Outcome.PROVIDER_LIMIT, now)
        assert refused is not None
        pauses.append((refused.paused_until or 0.0) - now)
        now = refused.paused_until or 0.0
    assert pauses == [900, 1800, 3600, 7200, 7200]


def test_several_attempts_that_meet_the_same_limit_pause_it_once(main: Login) -> None:
    first, second = main.lease("rex", 0.0), main.lease("rex", 0.0)
    main.end(first, Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    until = main.rows["main"].paused_until
    main.end(second, Outcome.PROVIDER_LIMIT, 1.0, resets_at=500.0)
    assert (main.rows["main"].paused_until, main.rows["main"].pauses) == (until, 1)


def test_after_the_reset_one_task_goes_first_and_the_rest_follow_one_by_one(main: Login) -> None:
    main.run("rex", Outcome.PROVIDER_LIMIT, 0.0, resets_at=600.0)
    probe = main.lease("rex", 700.0)
    assert not main.may("archon", 701.0).ok
    main.end(probe, Outcome.OK, 750.0)
    starts, now = [], 750.0
    while main.rows["main"].restarting:
        if main.may("rex", now).ok:
            starts.append(now)
            main.lease("rex", now)
        now += 1.0
    assert len(starts) == accounts.RAMP_STARTS - 1
    assert all(later - earlier >= 20 for earlier, later in pairwise(starts))
    assert main.may("archon", now) == Permit(True)


@pytest.mark.parametrize(
    "outcome", [Outcome.INTERRUPTED, Outcome.NODE_FAULT, Outcome.LOST, Outcome.PERMANENT, None]
)
def test_a_first_task_that_never_met_the_provider_is_followed_by_another_first(
    main: Login, outcome: Outcome | None
) -> None:
    """A folder that is missing says nothing of a login or a limit."""
    for trouble in (Outcome.PROVIDER_LIMIT, Outcome.NEEDS_LOGIN):
        refused = main.run("rex", trouble, 0.0)
        now = (refused.paused_until if refused else None) or 0.0
        main.end(main.lease("rex", now), outcome, now + 10)
        main.lease("rex", now + 10)
        assert not main.may("rex", now + 11).ok
        main.rows.clear()


def test_a_first_task_that_runs_for_long_lets_the_rest_follow(main: Login) -> None:
    refused = main.run("rex", Outcome.NEEDS_LOGIN, 0.0)
    assert refused is not None
    main.lease("rex", 60.0)
    row = main.rows["main@rex"]
    assert accounts.on_tick(row, 359.0, CONFIG, Probe.RUNNING) == row
    assert accounts.on_tick(row, 400.0, CONFIG, Probe.SILENT) == row
    assert accounts.on_tick(row, 360.0, CONFIG, Probe.RUNNING).state is AccountState.OK
    assert accounts.on_tick(row, 61.0, CONFIG, Probe.OVER).probe_fence is None


# -- whose trouble it is ------------------------------------------------------------------------


def test_a_lost_login_stops_its_own_node_only_and_is_tried_again_by_one_task(main: Login) -> None:
    """`one_mac_logged_out`, `token_rotated`."""
    refused = main.run("rex", Outcome.NEEDS_LOGIN, 0.0, reason="401")
    assert refused is not None
    assert (refused.name, refused.state, refused.node) == (
        "main@rex", AccountState.BLOCKED, "rex",
    )  # fmt: skip
    assert main.may("archon", 1.0).ok
    assert main.may("rex", 1.0).until == 60.0
    probe = main.lease("rex", 60.0)
    assert not main.may("rex", 61.0).ok
    assert main.may("archon", 61.0).ok
    main.end(probe, Outcome.OK, 70.0)
    assert main.may("rex", 70.0) == Permit(True)


def test_each_failed_probe_waits_twice_as_long_up_to_the_cap(main: Login) -> None:
    waits, now = [], 0.0
    for _ in range(9):
        refused = main.run("rex", Outcome.NEEDS_LOGIN, now)
        assert refused is not None
        waits.append((refused.paused_until or 0.0) - now)
        now = refused.paused_until or 0.0
    assert waits == [60, 120, 240, 480, 960, 1920, 3840, 7200, 7200]


def test_two_attempts_that_lose_one_login_together_count_once(main: Login) -> None:
    first, second = main.lease("rex", 0.0), main.lease("rex", 0.0)
    main.end(first, Outcome.NEEDS_LOGIN, 0.0)
    main.end(second, Outcome.NEEDS_LOGIN, 5.0)
    assert (main.rows["main@rex"].paused_until, main.rows["main@rex"].pauses) == (60.0, 1)


def test_it_spreads_to_the_account_when_a_second_node_meets_it(main: Login) -> None:
    main.run("rex", Outcome.NEEDS_LOGIN, 0.0)
    refused = main.run("archon", Outcome.NEEDS_LOGIN, 10.0)
    assert refused is not None
    assert (refused.name, refused.state) == ("main", AccountState.BLOCKED)
    assert not main.may("crucible", 11.0).ok
    probe = main.lease("crucible", 71.0)
    assert not main.may("rex", 72.0).ok
    main.end(probe, Outcome.OK, 80.0, "crucible")
    assert main.may("crucible", 80.0).ok
    assert main.rows["main"].state is AccountState.OK
    assert main.rows["main@rex"].state is AccountState.BLOCKED


def test_a_node_that_is_known_to_be_alone_does_not_spread_its_trouble(main: Login) -> None:
    """Another node was let in since: what the next one loses is its own."""
    main.run("rex", Outcome.NEEDS_LOGIN, 0.0)
    main.run("archon", Outcome.OK, 5.0)
    refused = main.run("crucible", Outcome.NEEDS_LOGIN, 10.0)
    assert refused is not None
    assert refused.name == "main@crucible"
    assert main.may("archon", 11.0).ok


def test_what_the_provider_says_of_the_account_itself_concerns_every_node(main: Login) -> None:
    main.run("rex", Outcome.NEEDS_LOGIN, 0.0, scope=Scope.ACCOUNT, reason="credit is too low")
    assert not main.may("archon", 1.0).ok
    assert main.may("archon", 60.0).ok


def test_a_network_that_is_down_on_one_node_leaves_the_others_alone(main: Login) -> None:
    main.run("rex", Outcome.PROVIDER_BUSY, 0.0, scope=Scope.NODE, reason="connection refused")
    assert main.may("archon", 1.0).ok
    assert main.may("rex", 1.0).until == 30.0


def test_one_models_limit_leaves_the_other_models_alone(main: Login) -> None:
    """`one_model_limited`."""
    refused = main.run(
        "rex", Outcome.PROVIDER_LIMIT, 0.0, model="opus", limited_model="opus", resets_at=9e5
    )
    assert refused is not None
    assert refused.name == "main:opus"
    assert main.may("archon", 1.0, "haiku").ok
    assert main.may("archon", 1.0).ok
    assert not main.may("archon", 1.0, "opus").ok
    assert main.may("archon", 1.0, "opus").reason == "opus on account main is paused"


def test_who_is_refused_as_a_model_was_let_in_as_a_login(main: Login) -> None:
    main.run("rex", Outcome.NEEDS_LOGIN, 0.0)
    main.run("rex", Outcome.PROVIDER_LIMIT, 60.0, model="opus", limited_model="opus", resets_at=9e5)
    assert main.may("rex", 61.0, "sonnet").ok


def test_each_part_restarts_with_one_task_of_its_own(main: Login) -> None:
    for model in ("opus", "sonnet"):
        main.run(
            "rex", Outcome.PROVIDER_LIMIT, 0.0, model=model, limited_model=model, resets_at=600.0
        )
    main.lease("rex", 700.0, "opus")
    assert not main.may("archon", 701.0, "opus").ok
    main.lease("archon", 701.0, "sonnet")
    assert not main.may("rex", 702.0, "sonnet").ok


def test_a_limit_shows_that_the_login_is_well(main: Login) -> None:
    main.run("rex", Outcome.NEEDS_LOGIN, 0.0, scope=Scope.ACCOUNT)
    main.run("rex", Outcome.PROVIDER_LIMIT, 60.0, resets_at=100.0)
    assert main.rows["main"].state is AccountState.PAUSED


def test_a_person_clears_it_at_once_and_a_restarted_agent_may_try_once(main: Login) -> None:
    main.run("rex", Outcome.NEEDS_LOGIN, 0.0)
    row = main.rows["main@rex"]
    assert accounts.permit(accounts.resume(row, 1.0), 1.0) == Permit(True)
    main.rows["main@rex"] = accounts.try_now(row, 1.0)
    main.lease("rex", 1.0)
    assert not main.may("rex", 1.0).ok


def test_after_a_jump_of_the_clock_what_was_left_of_a_wait_is_left_still() -> None:
    blocked = AccountRecord("main", state=AccountState.BLOCKED, paused_until=60.0)
    paused = AccountRecord("main", state=AccountState.PAUSED, paused_until=60.0)
    assert accounts.shift(blocked, 3600.0).paused_until == 3660.0
    assert accounts.shift(paused, 3600.0).paused_until == 60.0


def test_a_block_of_an_older_hub_is_tried_again() -> None:
    assert accounts.permit(AccountRecord("main", state=AccountState.BLOCKED), 1.0).ok


ENDS = st.sampled_from([*Outcome, None])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NODES),
        st.sampled_from(["opus", "haiku", None]),
        ENDS,
        st.floats(0, 200),
        st.sampled_from([None, *Scope]),
        st.booleans(),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_trouble_has_one_probe_and_no_wider_reach_than_its_cause(
    steps: list[tuple[str, str | None, Outcome | None, float, Scope | None, bool]],
) -> None:
    login, now, live = Login(), 0.0, dict[int, tuple[str, str | None]]()
    met: dict[str, set[str]] = defaultdict(set)
    for node, model, outcome, pause_s, scope, starts in steps:
        now += pause_s
        before = dict(login.rows)
        if starts and login.may(node, now, model).ok:
            live[login.lease(node, now, model)] = (node, model)
            _assert_one_probe(before, login.rows, now, node, model)
        elif live:
            fence, (where, of) = live.popitem()
            limited = of if scope is Scope.MODEL else None
            login.end(
                fence, outcome, now, where, model=of, scope=scope, limited_model=limited,
                resets_at=now + 100,
            )  # fmt: skip
            if outcome in accounts.TROUBLE:
                met[where].add(str(scope))
        _assert_reach(login.rows, met)


def _assert_one_probe(
    before: dict[str, AccountRecord],
    after: dict[str, AccountRecord],
    now: float,
    node: str,
    model: str | None,
) -> None:
    for name in accounts.concerned("main", node, model):
        row = before.get(name)
        if row is None or row.state is AccountState.OK:
            continue
        assert row.probe_fence is None, "a second probe"
        assert now >= (row.paused_until or 0.0), "a start in the pause"
        assert after[name].probe_fence is not None, "a start that is no probe"


def _assert_reach(rows: dict[str, AccountRecord], met: dict[str, set[str]]) -> None:
    for row in accounts.troubled(rows.values()):
        if row.node is not None:
            assert met[row.node], f"{row.name} is stopped and met nothing"
        elif row.model is not None:
            assert any("model" in scopes for scopes in met.values())


def test_rows_have_titles_for_people() -> None:
    assert accounts.title(accounts.of_login("main")) == "account main"
    assert accounts.title(accounts.of_node("main", "rex")) == "account main on rex"
    assert accounts.title(accounts.of_model("main", "opus")) == "opus on account main"
    assert replace(accounts.of_login("main"), account=None).login == "main"
