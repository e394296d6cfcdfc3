"""The provider accounts: which login, which model and which machine's trouble stops what.

Trouble is kept where it was met. A row of the table stands for a whole login (`main`), for a login
on one node (`main@rex`: a locked keychain, an expired token, a network that is down there), or for
a login's share of one class of models (`main:opus`: its weekly limit). An attempt needs all three
that concern it. Each is tried again after a while with exactly one task; after a pause the rest
follow, one every `stagger_s`, because starting all at once right after a reset is throttled.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from common.config.schema import BreakerConfig
from common.wire.nodes import AccountState, Scope
from common.wire.tasks import Outcome
from hubd.domain.breaker import Probe
from hubd.domain.records import AccountRecord

RAMP_STARTS = 8
"""Starts that are staggered after the first one came through."""

BUSY_PAUSE_S = 30.0
BUSY_PAUSE_CAP_S = 900.0

LOGIN_RETRY_S = 60.0
"""First pause of a login that failed: it may have been renewed in the meantime."""

PROBE_S = 300.0
"""A first task that ran so long without a refusal has shown that it is let in: the CLI gives up on
a login or a limit after three minutes."""

LIMIT_JITTER_S = 60.0

TROUBLE = frozenset({Outcome.PROVIDER_LIMIT, Outcome.PROVIDER_BUSY, Outcome.NEEDS_LOGIN})
"""Outcomes in which the provider, or the way to it, refused the work."""

Records = Mapping[str, AccountRecord]


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether one more start is admitted, and when it may otherwise."""

    ok: bool
    reason: str = ""
    until: float | None = None


ADMITTED = Permit(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the end of an attempt says of its account. `outcome` None says nothing; `met`: the
    provider answered it. `scope` and `limited_model` say whom the provider refused."""

    login: str
    node: str
    fence: int
    outcome: Outcome | None
    model: str | None = None
    met: bool = False
    scope: Scope | None = None
    limited_model: str | None = None
    resets_at: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The rows a report changed, and the one that was refused, if any."""

    changed: tuple[AccountRecord, ...] = ()
    refused: AccountRecord | None = None


def of_login(login: str) -> AccountRecord:
    """The row of a whole login, untroubled."""
    return AccountRecord(name=login, account=login)


def of_node(login: str, node: str) -> AccountRecord:
    return AccountRecord(name=f"{login}@{node}", account=login, node=node)


def of_model(login: str, model: str) -> AccountRecord:
    return AccountRecord(name=f"{login}:{model}", account=login, model=model)


def concerned(login: str, node: str, model: str | None) -> list[str]:
    """The names of the rows an attempt depends on, the widest first."""
    names = [login, f"{login}@{node}"]
    return names if model is None else [*names, f"{login}:{model}"]


def title(record: AccountRecord) -> str:
    """The row in words: `account main`, `account main on rex`, `opus on account main`."""
    if record.node is not None:
        return f"account {record.login} on {record.node}"
    if record.model is not None:
        return f"{record.model} on account {record.login}"
    return f"account {record.login}"


def permits(records: Records, login: str, node: str, model: str | None, now: float) -> Permit:
    """Whether a node may start a task of this class of models on this login."""
    if not records:
        return ADMITTED
    found = [records[name] for name in concerned(login, node, model) if name in records]
    refusals = [refusal for record in found if not (refusal := permit(record, now)).ok]
    if not refusals:
        return ADMITTED
    untils = [refusal.until for refusal in refusals if refusal.until is not None]
    # One that waits for a running probe has no time of its own.
    until = max(untils) if len(untils) == len(refusals) else None
    return Permit(False, refusals[0].reason, until)


def permit(account: AccountRecord, now: float) -> Permit:
    """What one row says."""
    match account.state:
        case AccountState.BLOCKED if account.probe_fence is None:
            if account.paused_until is not None and now < account.paused_until:
                return Permit(False, f"{title(account)} needs a login", account.paused_until)
            return ADMITTED
        case AccountState.PAUSED if account.paused_until is None or now < account.paused_until:
            return Permit(False, f"{title(account)} is paused", account.paused_until)
        case AccountState.PAUSED | AccountState.OK | AccountState.BLOCKED:
            return _restart_permit(account, now)


def _restart_permit(account: AccountRecord, now: float) -> Permit:
    if account.state is AccountState.OK and not account.restarting:
        return ADMITTED
    if account.probe_fence is not None:
        return Permit(False, f"{title(account)} tries one task first")
    if account.next_start_at is not None and now < account.next_start_at:
        return Permit(False, f"{title(account)} starts one task at a time", account.next_start_at)
    return ADMITTED


def lease(
    records: Records,
    login: str,
    node: str,
    model: str | None,
    fence: int,
    now: float,
    config: BreakerConfig,
) -> list[AccountRecord]:
    """The rows that change because an attempt was leased; `permits` must have said yes."""
    found = [records[name] for name in concerned(login, node, model) if name in records]
    leased = [(row, on_lease(row, fence, now, config)) for row in found]
    return [now_is for was, now_is in leased if now_is != was]


def on_lease(
    account: AccountRecord, fence: int, now: float, config: BreakerConfig
) -> AccountRecord:
    """An attempt was leased on this row."""
    if account.state is AccountState.BLOCKED:
        return replace(account, probe_fence=fence, probe_until=now + PROBE_S, changed_at=now)
    if account.state is AccountState.PAUSED:
        return replace(
            account,
            state=AccountState.OK,
            paused_until=None,
            reason="trying one task first",
            restarting=True,
            probe_fence=fence,
            probe_until=now + PROBE_S,
            next_start_at=None,
            ramp_left=RAMP_STARTS,
            changed_at=now,
        )
    if not account.restarting:
        return account
    if account.ramp_left == RAMP_STARTS:  # the earlier first task was taken back: this is it
        return replace(account, probe_fence=fence, probe_until=now + PROBE_S)
    left = account.ramp_left - 1
    return replace(
        account,
        ramp_left=left,
        restarting=left > 0,
        next_start_at=now + config.stagger_s if left > 0 else None,
        reason=account.reason if left > 0 else None,
    )


def settle(
    records: Records, report: Report, now: float, config: BreakerConfig, rng: random.Random
) -> Settled:
    """What an attempt's end does to the rows of its login; `records` holds them all."""
    refused = _refuse(records, report, now, config, rng)
    changed = {row.name: row for row in refused}
    cleared = _answered(report)
    let_in = of_node(report.login, report.node).name in cleared
    for name, record in records.items():
        if name in changed or record.login != report.login:
            continue
        if record.name in cleared:
            now_is = _came_through(record, report.fence, now, config)
        else:
            now_is = free_probe(record, report.fence)
            if let_in and record.state is AccountState.BLOCKED and record.node is not None:
                now_is = replace(now_is, local=True)  # the login is well on another node
        if now_is != record:
            changed[name] = now_is
    return Settled(tuple(changed.values()), refused[-1] if refused else None)


def _answered(report: Report) -> set[str]:
    """The rows for which this attempt shows that they are well: whoever is refused as a model was
    let in as a login, and whoever is refused as a login reached nobody."""
    login, node = of_login(report.login).name, of_node(report.login, report.node).name
    match report.outcome:
        case Outcome.PROVIDER_LIMIT:
            return {login, node} if _scope(report) is Scope.MODEL else {node}
        case Outcome.NEEDS_LOGIN | Outcome.PROVIDER_BUSY:
            return set()
    if not report.met:
        return set()
    return set(concerned(report.login, report.node, report.model))


def _scope(report: Report) -> Scope:
    if report.scope is Scope.NODE or report.scope is Scope.ACCOUNT:
        return report.scope
    if report.outcome is Outcome.NEEDS_LOGIN:
        return Scope.NODE
    return Scope.ACCOUNT if report.limited_model is None else Scope.MODEL


def _refuse(
    records: Records, report: Report, now: float, config: BreakerConfig, rng: random.Random
) -> list[AccountRecord]:
    """The rows that are stopped; the widest comes last."""
    if report.outcome not in TROUBLE:
        return []
    whole = records.get(report.login) or of_login(report.login)
    on_node = of_node(report.login, report.node)
    on_node = records.get(on_node.name, on_node)
    if report.outcome is Outcome.NEEDS_LOGIN:
        if _scope(report) is Scope.ACCOUNT:
            return [_block(whole, report, now, config, rng)]
        here = _block(on_node, report, now, config, rng)
        if _met_elsewhere(records, report) or whole.state is AccountState.BLOCKED:
            return [here, _block(whole, report, now, config, rng)]
        return [here]
    match _scope(report):
        case Scope.NODE:
            return [_pause(on_node, report, now, config, rng)]
        case Scope.MODEL:
            limited = of_model(report.login, report.limited_model or "")
            limited = records.get(limited.name, limited)
            return [_pause(limited, report, now, config, rng)]
        case Scope.ACCOUNT:
            return [_pause(whole, report, now, config, rng)]


def _met_elsewhere(records: Records, report: Report) -> bool:
    """Whether a second node lost the login, and no node has been let in since."""
    return any(
        other.login == report.login
        and other.node not in (None, report.node)
        and other.state is AccountState.BLOCKED
        and not other.local
        for other in records.values()
    )


def _block(
    account: AccountRecord, report: Report, now: float, config: BreakerConfig, rng: random.Random
) -> AccountRecord:
    """No work until one task has been let in; several that fail together count once."""
    reason = report.reason or "login needed"
    again = account.state is AccountState.BLOCKED and account.probe_fence != report.fence
    if again and not _is_due(account, now):
        return replace(account, reason=reason, local=False)
    first = min(LOGIN_RETRY_S, config.account_pause_s)
    earlier = account.pauses if account.state is AccountState.BLOCKED else 0
    pause_s = min(first * 2.0 ** min(earlier, 16), config.account_pause_cap_s)
    return replace(
        account,
        state=AccountState.BLOCKED,
        paused_until=now + pause_s * rng.uniform(1 - config.jitter, 1 + config.jitter),
        pauses=earlier + 1,
        restarting=False,
        probe_fence=None,
        probe_until=None,
        next_start_at=None,
        local=False,
        reason=reason,
        changed_at=now,
    )


def _is_due(account: AccountRecord, now: float) -> bool:
    return account.probe_fence is None and now >= (account.paused_until or 0.0)


def _pause(
    account: AccountRecord, report: Report, now: float, config: BreakerConfig, rng: random.Random
) -> AccountRecord:
    if account.state is AccountState.BLOCKED:
        if report.outcome is Outcome.PROVIDER_BUSY:
            return free_probe(account, report.fence)
        account = resume(account, now)  # whoever meets a limit is logged in
    until = _pause_end(account, report, now, config, rng)
    if account.state is AccountState.PAUSED and account.paused_until is not None:
        until = max(until, account.paused_until)  # several attempts meet the same limit
    busy = report.outcome is Outcome.PROVIDER_BUSY
    return replace(
        account,
        state=AccountState.PAUSED,
        paused_until=until,
        reason=report.reason or ("provider is busy" if busy else "usage limit"),
        pauses=account.pauses + (account.state is not AccountState.PAUSED),
        restarting=False,
        probe_fence=None,
        probe_until=None,
        next_start_at=None,
        changed_at=now,
    )


def _pause_end(
    account: AccountRecord, report: Report, now: float, config: BreakerConfig, rng: random.Random
) -> float:
    if report.resets_at is not None and report.resets_at > now:
        return report.resets_at + rng.uniform(0.0, LIMIT_JITTER_S)
    if report.outcome is Outcome.PROVIDER_BUSY:
        return now + min(BUSY_PAUSE_S * 2.0 ** min(account.pauses, 16), BUSY_PAUSE_CAP_S)
    doubled = config.account_pause_s * 2.0 ** min(account.pauses, 16)
    return now + min(doubled, config.account_pause_cap_s)


def _came_through(
    account: AccountRecord, fence: int, now: float, config: BreakerConfig
) -> AccountRecord:
    if account.state is AccountState.BLOCKED:
        return resume(account, now)
    if account.state is not AccountState.OK:
        return account
    if account.restarting and account.probe_fence == fence:
        return replace(
            account,
            probe_fence=None,
            probe_until=None,
            pauses=0,
            ramp_left=RAMP_STARTS - 1,
            next_start_at=now,
            reason="starting one task at a time",
            changed_at=now,
        )
    if not account.restarting and account.pauses:
        return replace(account, pauses=0)
    return account


def on_tick(
    account: AccountRecord, now: float, config: BreakerConfig, probe: Probe
) -> AccountRecord:
    """Time passed: a first task that ended unseen frees its place, and one that has run for long
    enough was let in, however it ends."""
    if account.probe_fence is None:
        return account
    if probe is Probe.OVER:
        return free_probe(account, account.probe_fence)
    if probe is Probe.RUNNING and now >= (account.probe_until or now):
        return _came_through(account, account.probe_fence, now, config)
    return account


def free_probe(account: AccountRecord, fence: int) -> AccountRecord:
    """The first task ended without meeting the provider: another goes first."""
    if account.probe_fence != fence:
        return account
    return replace(account, probe_fence=None, probe_until=None)


def resume(account: AccountRecord, now: float) -> AccountRecord:
    """A person logged in or does not want to wait, or a task was let in."""
    return AccountRecord(
        name=account.name,
        account=account.account,
        node=account.node,
        model=account.model,
        changed_at=now,
    )


def try_now(account: AccountRecord, now: float) -> AccountRecord:
    """The agent was restarted, so its owner may have logged in: one task may find out."""
    if account.state is not AccountState.BLOCKED:
        return account
    return replace(account, paused_until=now, probe_fence=None, probe_until=None)


def shift(account: AccountRecord, seconds: float) -> AccountRecord:
    """After a jump of the wall clock: what was left of a wait of ours is left still. A pause ends
    at a time the provider named, and stays."""
    moved = account
    if account.state is AccountState.BLOCKED and account.paused_until is not None:
        moved = replace(moved, paused_until=account.paused_until + seconds)
    if account.probe_until is not None:
        moved = replace(moved, probe_until=account.probe_until + seconds)
    if account.next_start_at is not None:
        moved = replace(moved, next_start_at=account.next_start_at + seconds)
    return moved


def restarting(records: Iterable[AccountRecord]) -> list[AccountRecord]:
    """Those that let work in one by one after a pause."""
    return [record for record in records if record.restarting]


def troubled(records: Iterable[AccountRecord]) -> list[AccountRecord]:
    """Those that keep work away now."""
    return [record for record in records if record.state is not AccountState.OK]
