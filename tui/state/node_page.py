"""A node's page: condition, breaker with its evidence, account, what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from common.wire.facts import NodeFacts, ProjectFacts
from common.wire.nodes import AccountState, BreakerState, Node
from tui.state import words
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.measures import age, duration, moment, plural, since, until
from tui.state.nodes import account_troubles, breaker_cell, condition, gauge
from tui.state.preview import fact
from tui.state.store import Store


def node_title(store: Store, node: Node, now: float) -> Cell:
    return (
        *cell(node.name, Role.STRONG),
        Piece("  "),
        *condition(store, node, now).cell,
        Piece("  "),
        *gauge(len(store.live.get(node.name, ())), node.slots),
        Piece("  breaker "),
        *breaker_cell(node, now),
        Piece(f"  heartbeat {age(since(node.last_heartbeat_at, now))} ago", Role.MUTED),
    )


def node_page(store: Store, node: Node, now: float, zone: tzinfo | None) -> list[Cell]:
    return [
        *_drain(node, now),
        *_refusal(node),
        *_breaker(node, now, zone),
        *_account(store, node, now, zone),
        *_about(node, now, zone),
    ]


def _drain(node: Node, now: float) -> Iterator[Cell]:
    if not node.draining:
        return
    left = until(node.drain_until, now)
    for_ = f", for {duration(left)} more" if left else ""
    note = f": {node.drain_note}" if node.drain_note else ""
    yield cell(f"draining{for_}{note} · u gives it work again", Role.WARN)
    yield ()


def _refusal(node: Node) -> Iterator[Cell]:
    if node.accepting or node.draining or not node.not_accepting_reason:
        return
    yield cell(f"takes no work: {node.not_accepting_reason}", Role.WARN)
    yield ()


def _breaker(node: Node, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    breaker = node.breaker
    look = words.BREAKER[breaker.state]
    yield cell("Circuit breaker", Role.ACCENT)
    yield look.cell
    if breaker.state is BreakerState.OPEN:
        left = until(breaker.until, now)
        probe = f"in {duration(left)}" if left else "due: the next task is one"
        yield fact("probe", probe, Role.WARN)
    elif breaker.state is BreakerState.HALF_OPEN:
        running = f"fence {breaker.probe_fence}" if breaker.probe_fence else "waits for a task"
        yield fact("probe", running, Role.WARN)
    if breaker.fails:
        yield fact("faults", f"{breaker.fails} in a row")
    if breaker.opens:
        yield fact("opened", plural(breaker.opens, "time") + " lately")
    if breaker.reason:
        yield fact("evidence", breaker.reason, Role.WARN)
    if breaker.changed_at:
        yield fact("since", moment(breaker.changed_at, now, zone))
    if breaker.state is not BreakerState.CLOSED:
        yield cell("b closes it now, without a probe", Role.MUTED)
    yield ()


def _account(store: Store, node: Node, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    if not node.account:
        return
    yield cell("Account", Role.ACCENT)
    troubles = account_troubles(store, node)
    if not troubles:
        yield (*cell(f"{node.account}  ", Role.STRONG), *words.ACCOUNT[AccountState.OK].cell)
    for account in troubles:
        look = words.ACCOUNT[account.state]
        yield (*cell(f"{account.title}  ", Role.STRONG), *look.cell)
        if account.reason:
            yield fact("reason", account.reason, Role.WARN)
        if account.paused_until:
            left = duration(until(account.paused_until, now) or 0.0)
            yield fact("goes on", f"{moment(account.paused_until, now, zone)}, in {left}")
        shared = [n.name for n in store.nodes() if account.concerns(n.login, n.name)]
        yield fact("concerns", ", ".join(shared))
        yield cell("u resumes it now", Role.MUTED)
    yield ()


def _about(node: Node, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    yield cell("About", Role.ACCENT)
    yield fact("version", node.version or "unknown")
    yield fact("registered", moment(node.registered_at, now, zone))
    if node.labels:
        yield fact("labels", ", ".join(node.labels))
    if node.runners:
        yield fact("runners", ", ".join(node.runners))
    yield from _facts(node.facts)
    if node.specialists:
        yield fact("bench", plural(len(node.specialists), "specialist"))


def _facts(facts: NodeFacts) -> Iterator[Cell]:
    shown = {
        "system": facts.system,
        "python": facts.python,
        "power": facts.power,
        "disk free": facts.disk_free_gb and f"{facts.disk_free_gb:g} GB",
        "claude": facts.claude,
        "at": facts.claude_path,
        "sandbox": facts.sandbox,
        "settings": facts.claude_settings,
        "codex": facts.codex,
        "command": facts.command,
        "runner": facts.note,
        "model": facts.model,
        "process": facts.pid,
        "self-test": facts.self_test,
        "error": facts.self_test_error,
    }
    for name, value in shown.items():
        if value:
            yield fact(name, str(value))
    named = sorted({f"@{name} {model}" for name, model in facts.models.items()})
    if named:
        yield fact("models", ", ".join(named))
    if facts.projects:
        yield ()
        yield cell("Projects", Role.ACCENT)
    for project in facts.projects or ():
        yield from _project(project)


def _project(project: ProjectFacts) -> Iterator[Cell]:
    stands = f"@{project.branch}" if project.branch else ""
    changed = "  uncommitted changes" if project.dirty else ""
    head = f"  {project.head}" if project.head else ""
    remote = f"  {project.remote}" if project.remote else ""
    yield (
        *cell(f"{project.name}{stands}", Role.STRONG),
        *cell(head, Role.MUTED),
        *cell(changed, Role.WARN),
        *cell(remote, Role.MUTED),
    )
    if project.problem:
        yield cell(f"  {project.problem}", Role.WARN)
