"""The provider account: paused until its limit resets, blocked while nobody is logged in.

After a pause one task goes first. When it did not meet the limit again the rest follow, one
every `stagger_s`, because starting all at once right after a reset is throttled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.config.schema import BreakerConfig
from common.wire.nodes import AccountState
from common.wire.tasks import Outcome
from hubd.domain.records import AccountRecord

RAMP_STARTS = 8
"""Starts that are staggered after the first one came through."""

BUSY_PAUSE_S = 30.0

NEUTRAL = frozenset({Outcome.INTERRUPTED, Outcome.KILLED, Outcome.LOST, Outcome.NODE_FAULT})
"""Outcomes that say nothing of the provider: the first task after a pause must go again."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether an account admits one more start, and when it may otherwise."""

    ok: bool
    reason: str = ""
    until: float | None = None


def permit(account: AccountRecord | None, now: float) -> Permit:
    if account is None:
        return Permit(True)
    match account.state:
        case AccountState.BLOCKED:
            return Permit(False, f"account {account.name} needs a login")
        case AccountState.PAUSED if account.paused_until is None or now < account.paused_until:
            return Permit(False, f"account {account.name} is paused", account.paused_until)
        case AccountState.PAUSED | AccountState.OK:
            return _restart_permit(account, now)


def _restart_permit(account: AccountRecord, now: float) -> Permit:
    if account.state is AccountState.OK and not account.restarting:
        return Permit(True)
    if account.probe_fence is not None:
        return Permit(False, f"account {account.name} tries one task first")
    if account.next_start_at is not None and now < account.next_start_at:
        return Permit(
            False, f"account {account.name} starts one task at a time", account.next_start_at
        )
    return Permit(True)


def on_lease(
    account: AccountRecord, fence: int, now: float, config: BreakerConfig
) -> AccountRecord:
    """An attempt was leased; `permit` must have said yes."""
    if account.state is AccountState.PAUSED:
        return replace(
            account,
            state=AccountState.OK,
            paused_until=None,
            reason="trying one task first",
            restarting=True,
            probe_fence=fence,
            next_start_at=None,
            ramp_left=RAMP_STARTS,
            changed_at=now,
        )
    if not account.restarting:
        return account
    if account.ramp_left == RAMP_STARTS:  # the earlier first task was taken back: this is it
        return replace(account, probe_fence=fence)
    left = account.ramp_left - 1
    return replace(
        account,
        ramp_left=left,
        restarting=left > 0,
        next_start_at=now + config.stagger_s if left > 0 else None,
        reason=account.reason if left > 0 else None,
    )


def on_outcome(
    account: AccountRecord,
    fence: int,
    outcome: str,
    now: float,
    config: BreakerConfig,
    *,
    resets_at: float | None = None,
    jitter_s: float = 0.0,
    reason: str = "",
) -> AccountRecord:
    """An attempt on this account ended. Returns the same record when nothing changed."""
    match outcome:
        case Outcome.PROVIDER_LIMIT:
            return _pause(account, now, config, resets_at, jitter_s, reason or "usage limit")
        case Outcome.PROVIDER_BUSY:
            until = resets_at or now + min(BUSY_PAUSE_S * 2.0**account.pauses, 900.0)
            return _pause(account, now, config, until, jitter_s, reason or "provider is busy")
        case Outcome.NEEDS_LOGIN:
            return replace(
                account,
                state=AccountState.BLOCKED,
                paused_until=None,
                restarting=False,
                probe_fence=None,
                reason=reason or "login needed",
                changed_at=now,
            )
    if outcome in NEUTRAL or outcome == Outcome.PARKED:
        return free_probe(account, fence)
    return _came_through(account, fence, now, config)


def _pause(
    account: AccountRecord,
    now: float,
    config: BreakerConfig,
    resets_at: float | None,
    jitter_s: float,
    reason: str,
) -> AccountRecord:
    if account.state is AccountState.BLOCKED:
        return account
    if resets_at is not None and resets_at > now:
        until = resets_at + jitter_s
    else:
        doubled = config.account_pause_s * 2.0 ** min(account.pauses, 16)
        until = now + min(doubled, config.account_pause_cap_s) + jitter_s
    if account.state is AccountState.PAUSED and account.paused_until is not None:
        until = max(until, account.paused_until)  # several attempts meet the same limit
    return replace(
        account,
        state=AccountState.PAUSED,
        paused_until=until,
        reason=reason,
        pauses=account.pauses + (account.state is not AccountState.PAUSED),
        restarting=False,
        probe_fence=None,
        next_start_at=None,
        changed_at=now,
    )


def _came_through(
    account: AccountRecord, fence: int, now: float, config: BreakerConfig
) -> AccountRecord:
    if account.state is not AccountState.OK:
        return account
    if account.restarting and account.probe_fence == fence:
        return replace(
            account,
            probe_fence=None,
            pauses=0,
            ramp_left=RAMP_STARTS - 1,
            next_start_at=now,
            reason="starting one task at a time",
            changed_at=now,
        )
    if not account.restarting and account.pauses:
        return replace(account, pauses=0)
    return account


def free_probe(account: AccountRecord, fence: int) -> AccountRecord:
    """The first task after a pause ended without meeting the provider: another goes first."""
    return replace(account, probe_fence=None) if account.probe_fence == fence else account


def resume(account: AccountRecord, now: float) -> AccountRecord:
    """A person logged in, or does not want to wait."""
    return AccountRecord(name=account.name, changed_at=now)
