"""What becomes of a task when an attempt ended: the class decides (DESIGN §6)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from common.wire.tasks import Cap, OnLost, Outcome, TaskState
from hubd.domain.lifecycle import Move
from hubd.domain.records import TaskRecord

POISON_AFTER = 3
"""Lost attempts after which the machine does not run a task again (I15)."""

MAX_FAULTS = 5
"""Node faults after which a task fails: it may be what breaks the nodes."""

BACKOFF_S = 15.0
BACKOFF_CAP_S = 900.0

KNOWN = frozenset(Outcome)
CAPS = frozenset(Cap)


@dataclass(frozen=True, slots=True)
class Fate:
    """The move a task makes, its other changes, and a reason for people."""

    move: Move
    changes: dict[str, Any]


def classify(outcome: str) -> Outcome:
    """A word nobody knows is treated as a task error and kept as it was."""
    return Outcome(outcome) if outcome in KNOWN else Outcome.TASK_ERROR


def known_cap(word: str | None) -> Cap | None:
    """A word nobody knows is no cap."""
    return Cap(word) if word in CAPS else None


def backoff_s(failures: int, rng: random.Random) -> float:
    """Doubling from 15 s to 15 min, give or take a fifth; `failures` counts from 1."""
    base = min(BACKOFF_S * 2.0 ** min(max(failures - 1, 0), 16), BACKOFF_CAP_S)
    return base * rng.uniform(0.8, 1.2)


def after_result(
    task: TaskRecord,
    outcome: Outcome,
    *,
    now: float,
    max_attempts: int,
    account_until: float | None,
    rng: random.Random,
    final: bool = False,
    capped: Cap | None = None,
    turn_rounds: int = 1,
    spent_usd: float = 0.0,
) -> Fate:
    """The fate of a task whose current attempt posted `outcome` (not `parked`).

    `account_until` is when its account's pause ends, for the outcomes that pause one. `final`: the
    same again would only cost the same again, so a task error is the end. `capped`: one of our own
    limits ended it, which says nothing of the task. `spent_usd` counts against the task's cap.
    """
    if outcome is Outcome.OK:
        return Fate(Move.SUCCEED, {"cancel_raced": task.cancel_requested})
    if task.cancel_requested:
        return Fate(Move.KILLED, {})
    fate = _unless_spent(
        task,
        _after_failure(
            task, outcome, now, max_attempts, account_until, rng, final, capped, turn_rounds
        ),
        spent_usd,
    )
    if fate.move in (Move.BACK_OFF, Move.GIVE_BACK) and task.avoid_node == task.node:
        return Fate(fate.move, fate.changes | {"not_before": None})
    return fate


def _after_failure(
    task: TaskRecord,
    outcome: Outcome,
    now: float,
    max_attempts: int,
    account_until: float | None,
    rng: random.Random,
    final: bool,
    capped: Cap | None,
    turn_rounds: int,
) -> Fate:
    moved = task.node is not None and task.avoid_node == task.node
    match outcome:
        case Outcome.TASK_ERROR if capped is Cap.TURNS:
            return _after_turns(task, turn_rounds)
        case Outcome.TASK_ERROR if capped is Cap.TIME:
            return Fate(Move.HOLD, given_back(task))
        case Outcome.PERMANENT:
            return Fate(Move.FAIL, {})
        case Outcome.TASK_ERROR | Outcome.INTERNAL:
            return _after_task_error(task, now, 0 if final else max_attempts, rng)
        case Outcome.NODE_FAULT:
            return _after_node_fault(task, now, rng)
        case Outcome.LOST:
            return after_loss(task, moved=moved)
        case Outcome.NEEDS_LOGIN:
            # No time of its own: another machine may take it at once, and this one when it may.
            return Fate(Move.GIVE_BACK, given_back(task) | {"not_before": None})
        case _:
            return Fate(Move.GIVE_BACK, given_back(task) | {"not_before": account_until})


def given_back(task: TaskRecord) -> dict[str, Any]:
    """An attempt that does not count."""
    return {"attempt": max(task.attempt - 1, 0)}


def _after_turns(task: TaskRecord, turn_rounds: int) -> Fate:
    """It goes on in its session, a bounded number of times; then its owner is asked."""
    rounds = task.rounds + 1
    if rounds >= turn_rounds:
        return Fate(Move.HOLD, given_back(task) | {"rounds": 0})
    return Fate(Move.GIVE_BACK, given_back(task) | {"rounds": rounds, "not_before": None})


def _unless_spent(task: TaskRecord, fate: Fate, spent_usd: float) -> Fate:
    """A task that has spent its cap does not run again on its own."""
    cap = task.max_cost_usd
    runs_again = fate.move in (Move.BACK_OFF, Move.GIVE_BACK, Move.LOST, Move.HOLD)
    if cap is None or spent_usd < cap or not runs_again:
        return fate
    error = f"its cap of ${cap:g} is spent (${spent_usd:.2f})"
    return Fate(Move.FAIL, {"error": error, "crashes": fate.changes.get("crashes", task.crashes)})


def _after_task_error(task: TaskRecord, now: float, max_attempts: int, rng: random.Random) -> Fate:
    if task.attempt >= max_attempts:
        return Fate(Move.FAIL, {})
    return Fate(Move.BACK_OFF, {"not_before": now + backoff_s(task.attempt, rng)})


def _after_node_fault(task: TaskRecord, now: float, rng: random.Random) -> Fate:
    faults = task.faults + 1
    if faults >= MAX_FAULTS:
        return Fate(Move.FAIL, {"faults": faults})
    # Another node may take it at once; only a task that failed on several waits longer.
    pause_s = backoff_s(faults - 1, rng) if faults > 1 else 0.0
    return Fate(
        Move.BACK_OFF,
        given_back(task) | {"faults": faults, "not_before": now + pause_s if pause_s else None},
    )


def after_loss(task: TaskRecord, *, moved: bool = False) -> Fate:
    """T13: the attempt is lost. A cancel wins, then the wish of a person to have it elsewhere, then
    poison, then what the task asked for."""
    crashes = task.crashes + 1
    if moved and not task.cancel_requested and task.state is not TaskState.CANCELLING:
        return Fate(Move.LOST, {})
    if task.cancel_requested or task.state is TaskState.CANCELLING:
        return Fate(Move.LOST_CANCELLED, {"crashes": crashes, "error": "kill_unconfirmed"})
    if crashes >= POISON_AFTER:
        return Fate(Move.LOST_POISON, {"crashes": crashes})
    if task.on_lost is OnLost.HOLD:
        return Fate(Move.LOST_HELD, {"crashes": crashes})
    return Fate(Move.LOST, {"crashes": crashes})
