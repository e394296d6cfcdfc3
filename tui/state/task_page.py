"""A task's page: facts, question, attempts, tokens and money, as lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from common.wire.tasks import LIVE_STATES, Attempt, Task, TaskDetail, TaskState, Usage
from tui.state import words
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.measures import NOTHING, count, duration, moment, since, spent, until
from tui.state.plain import one_line, paragraphs
from tui.state.preview import approval_lines, fact, task_facts
from tui.state.store import Store

_OUTCOMES = {"ok": Role.OK, "parked": Role.ASK, "provider_limit": Role.WARN, "lost": Role.WARN}


def task_title(task: Task, *, asks: bool = False) -> Cell:
    look = words.task_look(task, asks)
    return (
        Piece(f"#{task.id} ", Role.STRONG),
        Piece(f"{look.glyph} {look.word}  ", look.role),
        *cell(task.title, Role.STRONG),
    )


def task_page(
    store: Store, task: Task, detail: TaskDetail | None, now: float, zone: tzinfo | None
) -> list[Cell]:
    """What is known now; `detail` is the hub's last full answer about it, if it came."""
    return [
        *_question(store, task, now),
        *_waiting(task, now),
        *task_facts(task, now),
        *_origin(task, now, zone),
        *_session(task, detail),
        *(_history(detail, now, zone) if detail else ()),
        *_prompt(task),
    ]


def _question(store: Store, task: Task, now: float) -> Iterator[Cell]:
    approval = store.question_about(task)
    if approval is not None:
        yield from approval_lines(store, approval, now)
        yield cell("y approves · n denies", Role.MUTED)
        yield ()


def _waiting(task: Task, now: float) -> Iterator[Cell]:
    if task.wait_reason and task.state not in LIVE_STATES | {TaskState.SUCCEEDED}:
        left = until(task.not_before, now)
        wait = f" (not before {duration(left)} from now)" if left else ""
        yield cell(f"waits: {task.wait_reason}{wait}", Role.WARN)
        yield ()
    if task.error:
        yield from (cell(line, Role.BAD) for line in paragraphs(task.error))
        yield ()


def _origin(task: Task, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    yield fact("created", moment(task.created_at, now, zone))
    if task.finished_at:
        yield fact("finished", moment(task.finished_at, now, zone))
    if task.retry_of:
        yield fact("retry of", f"#{task.retry_of}")
    if task.continue_of:
        yield fact("continues", f"#{task.continue_of}")
    if task.model:
        yield fact("model", task.model)
    for grant in task.grants:
        yield fact("allowed", f"{grant.what} (R takes it back)")


_RESUMING = {"claude": "claude --resume", "codex": "codex resume"}


def _session(task: Task, detail: TaskDetail | None) -> Iterator[Cell]:
    """How to go on in its session by hand, where its runner can; an attempt of an older hub names
    none and is Claude's."""
    runners = [each.runner for each in detail.attempts if each.runner] if detail else []
    command = _RESUMING.get(runners[-1] if runners else "claude")
    if task.session_id and command:
        where = f"  on {task.session_node}" if task.session_node else ""
        yield fact("session", f"{command} {task.session_id}{where}", Role.MUTED)


def _history(detail: TaskDetail, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    if detail.attempts:
        yield ()
        yield cell("Attempts", Role.ACCENT)
        for attempt in detail.attempts:
            yield from _attempt(attempt, now, zone)
    if detail.usage:
        yield ()
        yield cell("Tokens by model", Role.ACCENT)
        for usage in detail.usage:
            yield from _usage(usage)
    answered = [each for each in detail.approvals if each.answered_at]
    if answered:
        yield ()
        yield cell("Questions", Role.ACCENT)
        for each in answered:
            who = each.answered_by or NOTHING
            note = f": {one_line(each.note)}" if each.note else ""
            text = f"{each.code} {each.state} by {who}{note}"
            yield cell(text)
            yield cell(f"  {each.summary}", Role.MUTED)


def _attempt(attempt: Attempt, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    began = attempt.started_at or attempt.leased_at
    ended = attempt.ended_at
    took = (ended - began).total_seconds() if ended else (since(began, now) or 0.0)
    outcome = attempt.outcome or "running"
    role = Role.RUN if not ended else _OUTCOMES.get(outcome, Role.BAD)
    yield (
        Piece(f"{attempt.number}  ", Role.STRONG),
        Piece(f"{outcome.replace('_', ' ')}  ", role),
        Piece(one_line(f"{attempt.node}  "), Role.PLAIN),
        Piece(f"{moment(began, now, zone)}  {duration(took)}  ", Role.MUTED),
        Piece(spent(attempt.cost_usd, 0), Role.PLAIN),
        Piece(" (partial)" if attempt.partial else "", Role.WARN),
    )
    if attempt.error:
        yield cell(f"   {attempt.error}", Role.BAD)


def _usage(usage: Usage) -> Iterator[Cell]:
    yield (
        *cell(f"{usage.model}  ", Role.STRONG),
        Piece(spent(usage.cost_usd if usage.cost_usd is not None else usage.estimate_usd, 0)),
        Piece(" estimated" if usage.cost_usd is None and usage.estimate_usd else "", Role.MUTED),
    )
    yield cell(
        f"  {count(usage.input_tokens)} in · {count(usage.output_tokens)} out · "
        f"{count(usage.cache_read_tokens)} read · {count(usage.cache_write_tokens)} written",
        Role.MUTED,
    )


def _prompt(task: Task) -> Iterator[Cell]:
    yield ()
    yield cell("Asked", Role.ACCENT)
    yield from (cell(line) for line in paragraphs(task.prompt))
