"""What a text asks to see: status, lists, one task, why, more, nodes, bench, costs."""

from __future__ import annotations

from typing import assert_never

from common.wire.nodes import BreakerState
from common.wire.tasks import TERMINAL_STATES, TaskState
from hubd.domain import accounts, commands, money, replies
from hubd.domain.commands import Topic
from hubd.domain.records import AccountRecord
from hubd.errors import NotFoundError
from hubd.services import journal, submitting, waiting
from hubd.services.env import Env
from hubd.services.texts import Effect
from hubd.store import approvals, attempts, conversation, nodes, tasks
from hubd.store import money as money_store
from hubd.store.transaction import Tx

LISTED = 12
WEEK_S = 7 * 86_400.0
UNFINISHED = tuple(state for state in TaskState if state not in TERMINAL_STATES)


def look(tx: Tx, env: Env, chat: str, command: commands.Look) -> Effect:
    """The reply to a question about the mesh."""
    match command.topic:
        case Topic.PENDING:
            return Effect(reply=replies.pending_list(approvals.pending(tx.conn)))
        case Topic.STATUS:
            return Effect(reply=_status(tx, env))
        case Topic.LIST:
            return Effect(reply=_list(tx))
        case Topic.NODES:
            return Effect(reply=_nodes(tx, env))
        case Topic.AGENTS:
            return Effect(reply=_agents(tx))
        case Topic.COST if command.task_id is None:
            return Effect(reply=_cost(tx, env, command.period or "today"))
        case Topic.TASK | Topic.WHY | Topic.MORE | Topic.COST:
            task_id = command.task_id or last_task(tx, chat)
            if task_id is None:
                raise NotFoundError(f"Which task? {command.topic.value} 42.")
            return Effect(reply=_about_task(tx, env, chat, command.topic, task_id), task_id=task_id)
    assert_never(command.topic)


def last_task(tx: Tx, chat: str) -> int | None:
    """The newest task of a thread: what `why` or `more` alone is about."""
    return conversation.last_task(tx.conn, chat)


def _about_task(tx: Tx, env: Env, chat: str, topic: Topic, task_id: int) -> str:
    task = submitting.find_task(tx, task_id)
    match topic:
        case Topic.WHY:
            return _why(tx, env, task_id)
        case Topic.MORE:
            return _more(tx, chat, task_id)
        case Topic.COST:
            return replies.task_cost(task, len(attempts.of_task(tx.conn, task_id)))
        case _:
            waiting_answers = approvals.pending(tx.conn)
            return replies.task_text(task, tasks.result(tx.conn, task.id), tx.now, waiting_answers)


def _why(tx: Tx, env: Env, task_id: int) -> str:
    found = waiting.why(tx, env, submitting.find_task(tx, task_id))
    place = f", {found.place - 1} ahead" if found.place is not None and found.place > 1 else ""
    lines = [f"#{task_id}{place}: {found.reason}"]
    lines += [f"{verdict.node}: {verdict.reason}" for verdict in found.nodes[:8]]
    return "\n".join(lines)


def _more(tx: Tx, chat: str, task_id: int) -> str:
    """The next part of a result; once all was shown, from its beginning again."""
    text = replies.clean(tasks.result(tx.conn, task_id) or "").strip()
    if not text:
        return f"#{task_id} has no text yet."
    text = replies.mask_codes(text, {a.code for a in approvals.pending(tx.conn)})
    shown = conversation.shown(tx.conn, chat, task_id)
    if shown >= len(text):
        shown = 0
    part = replies.beginning(text[shown:], lines=1000, chars=replies.MORE_CHARS)
    upto = shown + len(text[shown:]) - len(text[shown:].lstrip()) + len(part)
    conversation.set_shown(tx.conn, chat, task_id, upto)
    rest = f"\nmore {task_id} for the rest" if upto < len(text) else ""
    return f"#{task_id} {part}{rest}"


def _status(tx: Tx, env: Env) -> str:
    return replies.status(
        tasks.counts(tx.conn),
        nodes.everyone(tx.conn),
        tasks.live_counts(tx.conn),
        _open_breakers(tx),
        approvals.pending(tx.conn),
        journal.spend_of(tx, env),
        journal.get_hold(tx),
        _troubled(tx),
        tx.now,
        env.config.hub.stale_after_s,
    )


def _troubled(tx: Tx) -> list[AccountRecord]:
    return accounts.troubled(nodes.accounts(tx.conn).values())


def _open_breakers(tx: Tx) -> set[str]:
    return {
        name
        for name, record in nodes.breakers(tx.conn).items()
        if record.state is not BreakerState.CLOSED
    }


def _list(tx: Tx) -> str:
    counts = tasks.counts(tx.conn)
    total = sum(counts.get(state, 0) for state in UNFINISHED)
    listed = tasks.in_state(tx.conn, UNFINISHED, LISTED)
    return replies.task_list(listed, tx.now, total, approvals.pending(tx.conn))


def _nodes(tx: Tx, env: Env) -> str:
    busy = tasks.live_counts(tx.conn)
    breakers = _open_breakers(tx)
    lines = [
        replies.node_line(
            node, busy.get(node.name, 0), breakers, tx.now, env.config.hub.stale_after_s
        )
        for node in nodes.everyone(tx.conn)
    ]
    lines += [replies.account_line(account, tx.now) for account in _troubled(tx)]
    return "\n".join(lines) or "No node has registered yet."


def _agents(tx: Tx) -> str:
    bench: dict[str, int] = {}
    for node in nodes.everyone(tx.conn):
        for name in node.specialists:
            bench[name] = bench.get(name, 0) + 1
    return replies.agents_text(bench)


def _cost(tx: Tx, env: Env, period: str) -> str:
    if period == "week":
        week = money_store.Period(first_day=money.day_of(tx.now, env.zone, back=6))
        rows, total = money_store.grouped(tx.conn, "day", week)
        return replies.cost_text("Last 7 days", rows, total)
    today = money.day_of(tx.now, env.zone)
    day = money_store.Period(first_day=today, last_day=today)
    rows, total = money_store.grouped(tx.conn, "node", day)
    return f"{replies.spend_line(journal.spend_of(tx, env))}\n" + replies.cost_text(
        "Runs", rows, total
    )
