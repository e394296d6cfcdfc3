"""The books: what attempts cost, while they run and when they end, and when that is too much."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from common.wire.nodes import PostResult, UsageSoFar
from common.wire.tasks import LIVE_STATES, Outcome
from common.wire.usage import Usage
from hubd.domain import money, replies
from hubd.domain.money import Basis
from hubd.domain.records import AttemptRecord, TaskRecord
from hubd.services import asking, journal
from hubd.services.env import Env
from hubd.store import attempts, tasks
from hubd.store import money as money_store
from hubd.store.transaction import Tx

BUDGET = "budget"
"""`AttemptRecord.stop` of an attempt that spent more than its task's cap."""


@dataclass(frozen=True, slots=True)
class Account:
    """What an attempt used, from whichever source."""

    usage: list[Usage]
    cost_usd: float | None
    partial: bool


def book(
    tx: Tx,
    env: Env,
    attempt: AttemptRecord,
    task: TaskRecord | None,
    account: Account,
    basis: Basis,
    *,
    fenced: bool = False,
) -> None:
    """Write the one cost row of a fence (I7) in place of the one before, and tell the day's sum."""
    bill = money.bill(account.usage, account.cost_usd, env.estimate)
    row = {
        "fence": attempt.fence,
        "task_id": attempt.task_id,
        "node": attempt.node,
        "specialist": task.specialist if task else None,
        "conversation": task.conversation if task else None,
        "at": tx.now,
        "day": money.day_of(tx.now, env.zone),
        "partial": account.partial,
        "fenced": fenced,
        "basis": basis.value,
    }
    money_store.put(tx.conn, row, bill)
    if basis is not Basis.RUNNING:
        money_store.drop_report(tx.conn, attempt.fence)
    spend = journal.emit_spend(tx, env, "spend.added")
    if spend.capped and spend.cap_usd is not None:
        asking.ask_budget(tx, env, spend.day, spend.cost_usd, spend.cap_usd)


def book_result(
    tx: Tx,
    env: Env,
    attempt: AttemptRecord,
    task: TaskRecord | None,
    request: PostResult,
    *,
    fenced: bool,
) -> None:
    """An attempt's own account at its end replaces what it reported on its way, once."""
    was = money_store.booked(tx.conn, attempt.fence)
    if was is not None and was.basis is Basis.RESULT:
        return
    account = _final_account(tx, attempt, request)
    book(tx, env, attempt, task, account, Basis.RESULT, fenced=fenced)


def _final_account(tx: Tx, attempt: AttemptRecord, request: PostResult) -> Account:
    """A result that says nothing of its cost, or only what was seen before a kill, may know less
    than was reported."""
    seen = money_store.report(tx.conn, attempt.fence)
    said = Account(list(request.usage), request.cost_usd, request.partial)
    is_silent = not said.usage and said.cost_usd is None
    if seen is None or not (said.partial or is_silent):
        return said
    fullest = money.fullest(seen[0], said.usage)
    if fullest == money.by_model(said.usage):
        return said
    return Account(fullest, None, partial=True)


def book_lost(tx: Tx, env: Env, attempt: AttemptRecord, task: TaskRecord) -> None:
    """An attempt that nobody will account for any more cost what was last seen; without any
    report nobody knows what."""
    was = money_store.booked(tx.conn, attempt.fence)
    if attempt.started_at is None or (was is not None and was.basis is Basis.RESULT):
        return
    seen = money_store.report(tx.conn, attempt.fence)
    account = Account([] if seen is None else seen[0], None, partial=True)
    book(tx, env, attempt, task, account, Basis.SEEN)


def take_report(tx: Tx, env: Env, node: str, report: UsageSoFar) -> None:
    """What an attempt used so far. One that does not belong to the node, or whose result is here,
    is left as it is: a report must never spoil a heartbeat."""
    attempt = attempts.find(tx.conn, report.fence)
    if attempt is None or attempt.node != node or attempt.started_at is None:
        return
    was = money_store.booked(tx.conn, attempt.fence)
    task = tasks.find(tx.conn, attempt.task_id)
    if task is None or (was is not None and was.basis is Basis.RESULT):
        return
    totals = money.bill(report.usage, None, env.estimate).totals
    known = money_store.report(tx.conn, attempt.fence)
    told_at = 0.0 if known is None else known[1]
    others_usd = task.cost_usd - (was.totals.counted_usd if was else 0.0)
    runs = task.fence == attempt.fence and task.state in LIVE_STATES
    over = runs and money.is_over(others_usd + totals.counted_usd, task.max_cost_usd)
    before = None if was is None else was.totals
    tell = over or not runs or money.is_worth_telling(before, totals, tx.now - told_at)
    money_store.keep_report(tx.conn, attempt.fence, report.usage, tx.now if tell else told_at)
    if not tell:
        return
    if over and attempt.stop is None:
        attempts.update(tx.conn, replace(attempt, stop=BUDGET))
    basis = Basis.RUNNING if runs else Basis.SEEN
    account = Account(list(report.usage), None, partial=True)
    book(tx, env, attempt, task, account, basis, fenced=not runs)
    if basis is Basis.SEEN:
        money_store.keep_report(tx.conn, attempt.fence, report.usage, tx.now)
    tell_task(tx, env, attempt, task)


def tell_task(tx: Tx, env: Env, attempt: AttemptRecord, task: TaskRecord) -> None:
    """Have a task's record say what the books say."""
    changed = replace(task, updated_at=tx.now, **money_store.of_task(tx.conn, task.id))
    if changed != replace(task, updated_at=tx.now):
        detail = {"fence": attempt.fence}
        journal.save_task(tx, env, task, changed, "task.cost_recorded", detail)


def judged(attempt: AttemptRecord, task: TaskRecord, request: PostResult) -> PostResult:
    """The result of an attempt that the hub had ended because of its cost: that is why it ended,
    whatever its runner calls it, unless it was done before the order reached it."""
    if attempt.stop != BUDGET or request.outcome in (Outcome.OK, Outcome.PARKED):
        return request
    cap = replies.dollars(task.max_cost_usd or 0.0)
    error = f"stopped: it cost more than its cap of {cap}. Continue it with a higher budget."
    return msgspec.structs.replace(
        request, outcome=Outcome.TASK_ERROR.value, error=error, final=True
    )
