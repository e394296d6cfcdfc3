"""Faults put into the hub on purpose. Each breaks one rule; the model must notice every one.

A mutant replaces one function or table entry of the real code for the length of a test. They are
a test of the tests: an invariant nobody can break is one nobody checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from common.wire.nodes import BreakerState
from common.wire.tasks import LIVE_STATES, Outcome, TaskState
from hubd.domain import (
    accounts,
    breaker,
    dispatch,
    grants,
    leases,
    lifecycle,
    money,
    places,
    retry,
)
from hubd.domain import approvals as rules
from hubd.domain.lifecycle import Move
from hubd.services import (
    asking,
    booking,
    cancelling,
    conversation,
    ending,
    journal,
    moving,
    nodes,
    placing,
    reaper,
    submitting,
)
from hubd.store import approvals as approval_store
from hubd.store import attempts, epoch, meta, tasks
from hubd.store import conversation as conversation_store
from hubd.store import money as money_store
from hubd.store.transaction import Tx

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]

MUTANTS: dict[str, Mutant] = {}


def mutant(function: Mutant) -> Mutant:
    MUTANTS[function.__name__] = function
    return function


@mutant
def the_fence_is_not_checked(patch: Patch) -> None:
    def current_task(tx: Tx, attempt: Any) -> Any:
        task = tasks.find(tx.conn, attempt.task_id)
        return task if task is not None and task.state in LIVE_STATES else None

    patch.setattr(ending, "current_task", current_task)


@mutant
def fences_go_down(patch: Patch) -> None:
    real = meta.next_fence
    patch.setattr(meta, "next_fence", lambda conn, epoch_: (2 << 40) - real(conn, epoch_))


@mutant
def a_restore_keeps_its_epoch(patch: Patch) -> None:
    patch.setattr(epoch, "next_epoch", lambda here, noted: max(here.epoch, 1))


@mutant
def the_final_reply_is_dropped(patch: Patch) -> None:
    patch.setattr(journal, "reply_final", lambda *_: None)


@mutant
def two_probes_pass_a_half_open_breaker(patch: Patch) -> None:
    real = breaker.admits

    def admits(record: Any, now: float) -> bool:
        return record.state is BreakerState.HALF_OPEN or real(record, now)

    patch.setattr(breaker, "admits", admits)


@mutant
def an_open_breaker_admits(patch: Patch) -> None:
    patch.setattr(breaker, "admits", lambda record, now: record.probe_fence is None)


@mutant
def a_provider_limit_counts_as_a_node_fault(patch: Patch) -> None:
    real = breaker.on_outcome

    def on_outcome(record: Any, fence: int, outcome: str, *args: Any, **more: Any) -> Any:
        counted = Outcome.NODE_FAULT if outcome == Outcome.PROVIDER_LIMIT else outcome
        return real(record, fence, counted, *args, **more)

    patch.setattr(breaker, "on_outcome", on_outcome)


@mutant
def a_task_error_counts_as_a_node_fault(patch: Patch) -> None:
    real = breaker.on_outcome

    def on_outcome(record: Any, fence: int, outcome: str, *args: Any, **more: Any) -> Any:
        counted = Outcome.NODE_FAULT if outcome == Outcome.TASK_ERROR else outcome
        return real(record, fence, counted, *args, **more)

    patch.setattr(breaker, "on_outcome", on_outcome)


@mutant
def a_fault_inside_agentd_counts_as_a_node_fault(patch: Patch) -> None:
    real = breaker.on_outcome

    def on_outcome(record: Any, fence: int, outcome: str, *args: Any, **more: Any) -> Any:
        counted = Outcome.NODE_FAULT if outcome == Outcome.INTERNAL else outcome
        return real(record, fence, counted, *args, **more)

    patch.setattr(breaker, "on_outcome", on_outcome)


@mutant
def the_breaker_opens_too_early(patch: Patch) -> None:
    real = breaker.on_outcome

    def on_outcome(record: Any, fence: int, outcome: str, now: float, config: Any, *a: Any,
                   **more: Any) -> Any:  # fmt: skip
        config = msgspec.structs.replace(config, threshold=2)
        return real(record, fence, outcome, now, config, *a, **more)

    patch.setattr(breaker, "on_outcome", on_outcome)


@mutant
def a_paused_account_is_used(patch: Patch) -> None:
    patch.setattr(accounts, "permit", lambda account, now: accounts.ADMITTED)


@mutant
def all_start_at_once_after_the_reset(patch: Patch) -> None:
    real = accounts.on_lease

    def on_lease(account: Any, fence: int, now: float, config: Any) -> Any:
        record = real(account, fence, now, config)
        return replace(record, restarting=False, probe_fence=None)

    patch.setattr(accounts, "on_lease", on_lease)


@mutant
def one_nodes_login_stops_the_account(patch: Patch) -> None:
    patch.setattr(accounts, "_met_elsewhere", lambda records, report: True)


@mutant
def a_login_lost_on_two_nodes_does_not_spread(patch: Patch) -> None:
    patch.setattr(accounts, "_met_elsewhere", lambda records, report: False)


@mutant
def one_models_limit_stops_every_model(patch: Patch) -> None:
    real = accounts._scope

    def scope(report: Any) -> Any:
        found = real(report)
        return accounts.Scope.ACCOUNT if found is accounts.Scope.MODEL else found

    patch.setattr(accounts, "_scope", scope)


@mutant
def a_models_limit_is_not_kept(patch: Patch) -> None:
    real = accounts.concerned
    patch.setattr(accounts, "concerned", lambda login, node, model: real(login, node, None))


@mutant
def several_tasks_try_a_lost_login(patch: Patch) -> None:
    real = accounts.on_lease

    def on_lease(account: Any, *args: Any) -> Any:
        return account if account.state.value == "blocked" else real(account, *args)

    patch.setattr(accounts, "on_lease", on_lease)


@mutant
def a_lost_login_is_used(patch: Patch) -> None:
    real = accounts.permit

    def permit(account: Any, now: float) -> Any:
        return accounts.ADMITTED if account.state.value == "blocked" else real(account, now)

    patch.setattr(accounts, "permit", permit)


@mutant
def a_provider_limit_costs_an_attempt(patch: Patch) -> None:
    patch.setattr(retry, "given_back", lambda task: {})


@mutant
def a_repeated_result_is_applied_again(patch: Patch) -> None:
    real = attempts.update

    def update(conn: Any, attempt: Any) -> None:
        real(conn, replace(attempt, result_hash=None))

    patch.setattr(attempts, "update", update)


@mutant
def a_stale_result_costs_nothing(patch: Patch) -> None:
    patch.setattr(ending, "_record_cost_only", lambda *_: None)


@mutant
def the_day_is_not_charged(patch: Patch) -> None:
    patch.setattr(money_store, "_add_to_day", lambda *_: None)


@mutant
def what_a_run_said_so_far_stays_beside_its_result(patch: Patch) -> None:
    patch.setattr(money_store, "booked", lambda *_: None)


@mutant
def a_lost_run_cost_nothing(patch: Patch) -> None:
    patch.setattr(booking, "book_lost", lambda *_: None)


@mutant
def a_lost_run_cost_what_clients_were_last_told(patch: Patch) -> None:
    real = booking.book_lost

    def book_lost(tx: Tx, env: Any, attempt: Any, task: Any) -> None:
        if money_store.booked(tx.conn, attempt.fence) is None:
            real(tx, env, attempt, task)
        else:
            update = "UPDATE costs SET basis = 'seen' WHERE fence = :fence"
            tx.conn.execute(update, {"fence": attempt.fence})

    patch.setattr(booking, "book_lost", book_lost)


@mutant
def a_run_above_its_cap_goes_on(patch: Patch) -> None:
    patch.setattr(money, "is_over", lambda *_: False)


@mutant
def a_run_stopped_for_its_cost_is_tried_again(patch: Patch) -> None:
    patch.setattr(booking, "judged", lambda attempt, task, request: request)


@mutant
def slots_are_not_counted(patch: Patch) -> None:
    patch.setattr(dispatch.NodeView, "free", property(lambda self: 4))


@mutant
def the_gate_stands_open(patch: Patch) -> None:
    patch.setattr(rules, "gate", lambda request, config: rules.Gate.OPEN)


@mutant
def the_digest_is_not_compared(patch: Patch) -> None:
    patch.setattr(placing, "_is_allowed", lambda tx, task: True)


@mutant
def a_finished_task_can_be_stopped(patch: Patch) -> None:
    edge = lifecycle.EDGES[Move.CANCEL]
    patch.setitem(lifecycle.EDGES, Move.CANCEL, replace(edge, sources=frozenset(TaskState)))
    patch.setattr(cancelling, "TERMINAL_STATES", frozenset())
    patch.setattr(cancelling, "WAITING_STATES", frozenset(TaskState) - LIVE_STATES)


@mutant
def a_bare_yes_picks_the_first_of_several(patch: Patch) -> None:
    real = rules.resolve_bare
    patch.setattr(
        rules, "resolve_bare", lambda pending, decision, order: real(pending[:1], decision, order)
    )


@mutant
def a_yes_may_come_before_its_question(patch: Patch) -> None:
    patch.setattr(rules, "came_first", lambda pending, order: True)


@mutant
def a_spent_yes_is_given_out_again(patch: Patch) -> None:
    real = journal.move_task

    def move_task(tx: Tx, env: Any, task: Any, move: Move, cause: Any, **more: Any) -> Any:
        if move is Move.LOST:
            more.pop("resume_approval", None)
        return real(tx, env, task, move, cause, **more)

    patch.setattr(journal, "move_task", move_task)


@mutant
def a_bare_yes_is_enough_for_high_risk(patch: Patch) -> None:
    patch.setattr(rules, "_unless_risky", lambda approval, decision: rules.Answer(approval))


@mutant
def the_last_answer_wins(patch: Patch) -> None:
    unconditional = approval_store.APPROVALS.update
    patch.setattr(approval_store, "UPDATE_PENDING", unconditional)
    patch.setattr(rules, "resolve_code", lambda found: rules.Answer(approval=found))
    patch.setattr(asking, "_answer_gate", lambda *_: None)
    patch.setattr(asking, "_answer_in_flight", lambda *_: None)


@mutant
def a_repeated_text_acts_again(patch: Patch) -> None:
    real = conversation.receive
    counter = iter(range(1_000_000))

    def receive(tx: Tx, env: Any, message: Any) -> Any:
        fresh = msgspec.structs.replace(message, guid=f"{message.guid}/{next(counter)}")
        return real(tx, env, fresh)

    patch.setattr(conversation, "receive", receive)


@mutant
def a_repeated_submit_makes_another_task(patch: Patch) -> None:
    patch.setattr(submitting, "known_submission", lambda *_: None)
    patch.setattr(tasks, "INSERT_KEY", tasks.INSERT_KEY.replace("INSERT", "INSERT OR REPLACE"))


@mutant
def a_poison_task_is_run_for_ever(patch: Patch) -> None:
    patch.setattr(retry, "POISON_AFTER", 99)


@mutant
def a_lease_leaves_no_event(patch: Patch) -> None:
    real = Tx.emit

    def emit(self: Tx, type_: str, *args: Any, **more: Any) -> Any:
        return None if type_ == "task.leased" else real(self, type_, *args, **more)

    patch.setattr(Tx, "emit", emit)


@mutant
def a_yes_for_all_serves_every_task(patch: Patch) -> None:
    every: list[Any] = []

    def answering(task: Any, approval: Any) -> Any:
        wanted = grants.covers(approval)
        for other in every:
            if other.covers == wanted and grants.why_not(approval) is None:
                return other
        return None

    real = grants.grant_of

    def grant_of(*args: Any, **more: Any) -> Any:
        every.append(real(*args, **more))
        return every[-1]

    patch.setattr(grants, "answering", answering)
    patch.setattr(grants, "grant_of", grant_of)


@mutant
def a_yes_for_all_covers_high_risk(patch: Patch) -> None:
    def answering(task: Any, approval: Any) -> Any:
        wanted = grants.covers(approval)
        return next((grant for grant in task.grants if grant.covers == wanted), None)

    patch.setattr(grants, "answering", answering)


@mutant
def a_yes_for_all_is_given_to_high_risk(patch: Patch) -> None:
    patch.setattr(grants, "why_not", lambda _: None)


@mutant
def a_yes_for_all_cannot_be_taken_back(patch: Patch) -> None:
    patch.setattr(asking, "revoke", lambda tx, env, task, by: task)


@mutant
def a_breaker_changes_in_silence(patch: Patch) -> None:
    def save_breaker(tx: Tx, env: Any, was: Any, record: Any, detail: Any = None) -> None:
        nodes.nodes.save_breaker(tx.conn, record)

    patch.setattr(journal, "save_breaker", save_breaker)


@mutant
def a_stopped_task_is_not_killed(patch: Patch) -> None:
    real = nodes.orders

    def orders(source: Any, name: str, request: Any) -> Any:
        reply = real(source, name, request)
        live = {task.fence for task in tasks.live_of(source.conn, name)}
        return msgspec.structs.replace(reply, kill=[f for f in reply.kill if f not in live])

    patch.setattr(nodes, "orders", orders)


@mutant
def a_clock_jump_expires_leases(patch: Patch) -> None:
    real = leases.next_tick

    def next_tick(*args: Any) -> Any:
        return replace(real(*args), may_expire=True, jump_s=0.0)

    patch.setattr(leases, "next_tick", next_tick)


@mutant
def lost_attempts_are_kept_for_ever(patch: Patch) -> None:
    patch.setattr(reaper, "_check_unknown", lambda *_: None)


@mutant
def an_expired_lease_voids_its_result(patch: Patch) -> None:
    real = ending.current_task

    def current_task(tx: Tx, attempt: Any) -> Any:
        task = real(tx, attempt)
        return None if task is not None and task.state is TaskState.UNKNOWN else task

    patch.setattr(ending, "current_task", current_task)


@mutant
def a_sent_reply_is_offered_again(patch: Patch) -> None:
    again = conversation_store.CLAIMABLE.replace("'pending' OR", "'pending' OR state = 'sent' OR")
    patch.setattr(conversation_store, "CLAIMABLE", again)


@mutant
def a_node_may_touch_anothers_attempt(patch: Patch) -> None:
    patch.setattr(ending, "own_attempt", lambda tx, fence, node: attempts.find(tx.conn, fence))


@mutant
def a_cancelled_task_succeeds_in_silence(patch: Patch) -> None:
    real = retry.after_result

    def after_result(task: Any, *args: Any, **more: Any) -> Any:
        return real(replace(task, cancel_requested=False), *args, **more)

    patch.setattr(retry, "after_result", after_result)


@mutant
def the_lease_is_not_released_with_the_task(patch: Patch) -> None:
    real = ending.end_attempt

    def end_attempt(tx: Tx, env: Any, attempt: Any, outcome: str, **more: Any) -> Any:
        account = real(tx, env, attempt, outcome, **more)
        if outcome == "released":
            tx.conn.execute(
                "UPDATE attempts SET ended_at = NULL WHERE fence = :f", {"f": attempt.fence}
            )
        return account

    patch.setattr(ending, "end_attempt", end_attempt)


@mutant
def a_silent_node_counts_as_stopped_at_once(patch: Patch) -> None:
    patch.setattr(places, "surely_stopped_at", lambda unknown_since, hub: unknown_since)


@mutant
def a_silent_attempt_is_given_up_while_its_node_works_on(patch: Patch) -> None:
    patch.setattr(places, "lost_at", lambda unknown_since, *_, **__: unknown_since + 300.0)


@mutant
def a_running_task_moves_before_its_node_stopped(patch: Patch) -> None:
    real = moving.move_elsewhere

    def move_elsewhere(tx: Tx, env: Any, task: Any, by: str) -> Any:
        moved = real(tx, env, task, by)
        if task.state is TaskState.RUNNING:
            attempt = attempts.find(tx.conn, task.fence)
            return ending.lose(
                tx, env, moved, attempt, node_beats=False, waits=False, reason="moved"
            )
        return moved

    patch.setattr(moving, "move_elsewhere", move_elsewhere)


@mutant
def a_moved_task_is_not_killed(patch: Patch) -> None:
    real = nodes.orders

    def orders(source: Any, name: str, request: Any) -> Any:
        reply = real(source, name, request)
        moved = {t.fence for t in tasks.live_of(source.conn, name) if not t.cancel_requested}
        return msgspec.structs.replace(reply, kill=[f for f in reply.kill if f not in moved])

    patch.setattr(nodes, "orders", orders)


@mutant
def a_moved_task_may_go_back(patch: Patch) -> None:
    real = tasks.lane_of
    patch.setattr(tasks, "lane_of", lambda task: replace(real(task), avoid_node=None))


@mutant
def interrupted_work_goes_anywhere(patch: Patch) -> None:
    patch.setattr(places, "keeps_place", lambda *_, **__: False)


@mutant
def work_waits_for_its_node_without_end(patch: Patch) -> None:
    patch.setattr(tasks, "waited_out", lambda *_: [])


@mutant
def the_lane_forgets_the_node_it_waits_for(patch: Patch) -> None:
    patch.setattr(tasks, "place_of", lambda task: None)


@mutant
def a_follow_up_has_no_cap(patch: Patch) -> None:
    patch.setattr(submitting, "_with_limits_of", lambda tx, request: request)


@mutant
def a_task_runs_on_with_its_cap_spent(patch: Patch) -> None:
    patch.setattr(retry, "_unless_spent", lambda task, fate, spent_usd: fate)
