"""Lock-out, limits and host names, with a clock that tests move."""

from __future__ import annotations

import pytest

from hubd.access.errors import ForeignHostError, LockedOutError, RateLimitedError
from hubd.access.hosts import HostRules, host_of, is_loopback
from hubd.access.limits import RateLimit
from hubd.access.lockout import LONGEST_LOCK_S, MAX_FAILURES, Lockout, canonical_address

GUESS = "mesh_operator_abc_" + "A" * 43


class FakeClock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0db8:0001:0002::9", "2001:db8:1:2::/64"),
    ],
)
def test_a_caller_has_one_name_however_it_is_written(given: str, canonical: str) -> None:
    assert canonical_address(given) == canonical


def _fail(lockout: Lockout, address: str, token: str = GUESS, times: int = MAX_FAILURES) -> None:
    for _ in range(times):
        lockout.failed(address, token)


def test_each_lock_out_is_twice_as_long_up_to_a_quarter_of_an_hour() -> None:
    clock = FakeClock()
    lockout = Lockout(clock)
    waits = []
    for _ in range(9):
        _fail(lockout, "10.0.0.1", "x")
        with pytest.raises(LockedOutError) as caught:
            lockout.check("10.0.0.1", "x")
        waits.append(caught.value.retry_after_s)
        clock.at += caught.value.retry_after_s
        lockout.check("10.0.0.1", "x")
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900, LONGEST_LOCK_S]


def test_failures_over_a_longer_time_lock_nobody_out() -> None:
    clock = FakeClock()
    lockout = Lockout(clock)
    for _ in range(5 * MAX_FAILURES):
        lockout.failed("10.0.0.1", "x")
        clock.at += 10
    lockout.check("10.0.0.1", "x")


def test_guessing_at_one_token_from_many_addresses_locks_that_token_id() -> None:
    lockout = Lockout(FakeClock())
    for number in range(MAX_FAILURES):
        lockout.failed(f"10.0.0.{number}", GUESS)
    with pytest.raises(LockedOutError):
        lockout.check("10.9.9.9", GUESS[:-1] + "B")
    lockout.check("10.9.9.9", "mesh_operator_other_" + "A" * 43)


def test_a_proven_token_stays_usable_where_it_was_proven_and_nowhere_else() -> None:
    lockout = Lockout(FakeClock())
    good = "mesh_operator_good_" + "B" * 43
    lockout.proved("10.0.0.1", good)
    _fail(lockout, "10.0.0.1")
    _fail(lockout, "10.0.0.2")
    lockout.check("10.0.0.1", good)
    with pytest.raises(LockedOutError):
        lockout.check("10.0.0.2", good)
    lockout.failed("10.0.0.1", good)
    with pytest.raises(LockedOutError):
        lockout.check("10.0.0.1", good)


def test_a_caller_that_runs_wild_is_slowed_down_and_others_are_not() -> None:
    clock = FakeClock()
    rate = RateLimit(clock, per_s=10, burst=20)
    for _ in range(20):
        rate.take("a")
    with pytest.raises(RateLimitedError) as caught:
        rate.take("a")
    rate.take("b")
    clock.at += caught.value.retry_after_s
    rate.take("a")


@pytest.mark.parametrize(
    ("header", "name"),
    [("Hub.Example:1", "hub.example"), ("[::1]:2", "::1"), ("hub.", "hub"), ("", "")],
)
def test_the_name_in_a_host_header_is_found(header: str, name: str) -> None:
    assert host_of(header) == name


def test_a_hub_on_the_network_is_known_by_its_address_and_configured_names() -> None:
    rules = HostRules(frozenset({"hub.example"}))
    rules.check_host("hub.example:8420", "192.168.1.5")
    rules.check_host("192.168.1.5:8420", "192.168.1.5")
    for foreign in ("localhost", "127.0.0.1", "evil.example", None):
        with pytest.raises(ForeignHostError):
            rules.check_host(foreign, "192.168.1.5")


def test_loopback_is_known_in_every_spelling() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.8.8", "::1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.5", "localhost.example"]))
