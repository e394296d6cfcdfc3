"""A few lines about one record, for the third column of a wide dashboard."""

from __future__ import annotations

from collections.abc import Iterator

from common.wire.approvals import Approval
from common.wire.nodes import Node
from common.wire.tasks import Task
from tui.state import words
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.measures import age, count, money, since, spent
from tui.state.nodes import account_cell, breaker_cell, condition, gauge
from tui.state.plain import exposed, one_line, paragraphs
from tui.state.store import Ref, Store
from tui.state.tasks import task_age

LONGEST = 40


def preview(store: Store, ref: Ref | None, now: float) -> list[Cell]:
    """Lines about what `ref` names; nothing for what has no more to say."""
    if ref is None:
        return []
    folded = store.folded
    if ref.kind == "task" and (task := folded.tasks.get(int(ref.key))):
        return list(_task(store, task, now))
    if ref.kind == "approval" and (approval := folded.approvals.get(int(ref.key))):
        return list(approval_lines(store, approval, now))
    if ref.kind == "node" and (node := folded.nodes.get(ref.key)):
        return list(_node(store, node, now))
    if ref.kind == "message" and (message := folded.messages.get(ref.key)):
        head = (Piece(f"{message.direction} ", Role.MUTED), *words.MESSAGE[message.state].cell)
        return [head, (), *(cell(line) for line in paragraphs(message.text)[:LONGEST])]
    return []


def fact(name: str, value: str, role: Role = Role.PLAIN) -> Cell:
    """`node       Rex`."""
    return (Piece(f"{name:<11}", Role.FAINT), Piece(one_line(value), role))


def _task(store: Store, task: Task, now: float) -> Iterator[Cell]:
    approval = store.question_about(task)
    yield (
        Piece(f"#{task.id} ", Role.STRONG),
        *words.task_look(task, store.asks(task)).cell,
    )
    yield cell(task.title, Role.STRONG)
    yield ()
    yield from task_facts(task, now)
    if approval is not None:
        yield ()
        yield from approval_lines(store, approval, now)
    told = ((task.wait_reason, Role.WARN), (task.error, Role.BAD), (task.summary, Role.PLAIN))
    for text, role in told:
        if text:
            yield ()
            yield from (cell(line, role) for line in paragraphs(text)[:LONGEST])
    if task.prompt.strip() != task.title.strip():
        yield ()
        yield from (cell(line, Role.MUTED) for line in paragraphs(task.prompt)[:LONGEST])


def task_facts(task: Task, now: float) -> Iterator[Cell]:
    """Who, where, how long, how much."""
    if task.specialist:
        yield fact("specialist", f"@{task.specialist}")
    if task.node or task.pinned_node:
        pinned = " (pinned)" if task.pinned_node else ""
        yield fact("node", f"{task.node or task.pinned_node}{pinned}")
    if task.project:
        yield fact("project", task.project + (f"@{task.branch}" if task.branch else ""))
    if age_ := task_age(task, now):
        yield fact("for", age_)
    if task.attempt > 1 or task.crashes:
        lost = f", {task.crashes} lost" if task.crashes else ""
        yield fact("attempt", f"{task.attempt}{lost}")
    if task.cost_usd or task.unknown_cost_attempts or task.max_cost_usd:
        cap = f" of at most {money(task.max_cost_usd)}" if task.max_cost_usd else ""
        yield fact("cost", f"{spent(task.cost_usd, task.unknown_cost_attempts)}{cap}")
    tokens = (
        task.input_tokens,
        task.output_tokens,
        task.cache_read_tokens,
        task.cache_write_tokens,
    )
    if any(tokens):
        read, wrote, hit, stored = map(count, tokens)
        yield fact("tokens", f"{read} in · {wrote} out · cache {hit}/{stored}")
    yield fact("from", task.submitted_by or task.source)


def approval_lines(store: Store, approval: Approval, now: float) -> Iterator[Cell]:
    """The question, and letter by letter what a yes would run."""
    risky = approval.risk == "high"
    role = Role.BAD if risky else Role.ASK
    yield (
        Piece(f"{'!' if risky else '?'} {approval.code} ", role),
        Piece(f"{approval.kind} · asked {age(since(approval.asked_at, now))} ago", Role.MUTED),
    )
    yield cell(approval.summary, Role.STRONG)
    if approval.detail and approval.detail != approval.summary:
        yield ()
        yield from (cell(line) for line in exposed(approval.detail)[:LONGEST])
    for number, choice in enumerate(approval.choices, start=1):
        yield (Piece(f"{number}  ", Role.FAINT), *cell(choice))


def _node(store: Store, node: Node, now: float) -> Iterator[Cell]:
    live = store.live.get(node.name, set())
    yield (
        Piece(f"{node.name} ", Role.STRONG),
        *condition(store, node, now).cell,
        Piece("  "),
        *gauge(len(live), node.slots),
    )
    yield ()
    yield (Piece(f"{'breaker':<11}", Role.FAINT), *breaker_cell(node, now))
    if node.breaker.reason:
        yield fact("", node.breaker.reason, Role.WARN)
    yield (Piece(f"{'account':<11}", Role.FAINT), *account_cell(store, node, now))
    yield fact("heartbeat", f"{age(since(node.last_heartbeat_at, now))} ago")
    if node.labels:
        yield fact("labels", ", ".join(node.labels))
    if node.version:
        yield fact("version", node.version)
    if node.drain_note:
        yield fact("draining", node.drain_note, Role.WARN)
    elif node.not_accepting_reason:
        yield fact("declines", node.not_accepting_reason, Role.WARN)
    for task_id in sorted(live):
        task = store.folded.tasks[task_id]
        yield ()
        yield (Piece(f"#{task.id} ", Role.MUTED), *words.TASK[task.state].cell)
        yield cell(task.title)
