"""What is asked before something is done that cannot be taken back: what exactly will happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from common.wire.approvals import Approval
from common.wire.nodes import Node
from common.wire.tasks import LIVE_STATES, Task, TaskState
from tui.state.cells import Role
from tui.state.measures import plural, spent
from tui.state.plain import exposed, one_line
from tui.state.tasks import task_age

LISTED = 8


@dataclass(frozen=True, slots=True)
class Asking:
    """`yes` names the button that does it; `exact` is shown letter by letter."""

    title: str
    lines: tuple[str, ...]
    yes: str
    role: Role = Role.WARN
    exact: tuple[str, ...] = ()
    note: str = ""


def cancel(tasks: Sequence[Task], now: float) -> Asking:
    live = [task for task in tasks if task.state in LIVE_STATES]
    lines = [_one(task, now) for task in tasks[:LISTED]]
    if len(tasks) > LISTED:
        lines.append(f"… and {len(tasks) - LISTED} more")
    if live:
        sums = spent(
            sum(task.cost_usd or 0.0 for task in live),
            sum(task.unknown_cost_attempts for task in live),
        )
        lines += [
            "",
            f"{plural(len(live), 'running task')} will be stopped with every process of it; "
            f"{sums} spent so far stays on the bill.",
        ]
    else:
        lines += ["", "Nothing of it has begun."]
    what = f"#{tasks[0].id}" if len(tasks) == 1 else plural(len(tasks), "task")
    return Asking(f"Cancel {what}?", tuple(lines), f"cancel {what}", Role.BAD)


def retry(tasks: Sequence[Task]) -> Asking:
    lines = [f"#{task.id} {one_line(task.title)}" for task in tasks[:LISTED]]
    if len(tasks) > LISTED:
        lines.append(f"… and {len(tasks) - LISTED} more")
    sums = spent(
        sum(task.cost_usd or 0.0 for task in tasks),
        sum(task.unknown_cost_attempts for task in tasks),
    )
    lines += ["", f"Each becomes a new task. Last time they cost {sums} together."]
    return Asking(f"Retry {plural(len(tasks), 'task')}?", tuple(lines), "retry")


def move(task: Task) -> Asking:
    where = task.node or task.session_node or "its node"
    live = task.state in LIVE_STATES
    first = f"It is stopped on {where} first, and begins" if live else "It begins"
    lines = (
        f"#{task.id} {one_line(task.title)}",
        "",
        f"{first} again on another machine. What it has done stays on {where}.",
        "Nothing starts elsewhere while it may still run there.",
    )
    return Asking(f"Run #{task.id} elsewhere?", lines, "run elsewhere")


def drain(node: Node, live: int) -> Asking:
    work = f"It finishes its {plural(live, 'task')} and takes" if live else "It takes"
    lines = (f"{work} no more until u gives it work again.",)
    return Asking(f"Drain {node.name}?", lines, "drain", note="note, if you like")


def reset(node: Node) -> Asking:
    breaker = node.breaker
    reason = one_line(breaker.reason) if breaker.reason else "no reason given"
    lines = (
        f"Now {breaker.state.replace('_', '-')} after {plural(breaker.fails, 'fault')}: {reason}",
        "Closed, it is given work at once, without a probe.",
    )
    return Asking(f"Close {node.name}'s breaker?", lines, "close it")


def hold(live: int) -> Asking:
    running = f"{plural(live, 'running task')} will go on" if live else "Nothing runs now"
    lines = (f"Nothing new starts on any node until H lets it. {running}.",)
    return Asking("Hold dispatch?", lines, "hold", note="reason, if you like")


def stop_all(counts: Counter[TaskState]) -> Asking:
    live = sum(counts[state] for state in LIVE_STATES)
    waiting = counts[TaskState.QUEUED] + counts[TaskState.WAITING_APPROVAL]
    lines = (
        f"{plural(live, 'running task')} will be stopped with every process, "
        f"{plural(waiting, 'waiting task')} cancelled, on every node.",
    )
    return Asking("Stop everything?", lines, "stop all", Role.BAD)


def risky(approval: Approval) -> Asking:
    lines = (
        f"{approval.code} is of high risk. {one_line(approval.summary)}",
        f"Type {approval.code} to say yes to exactly this:",
    )
    exact = tuple(exposed(approval.detail or approval.summary))
    return Asking(f"Approve {approval.code}?", lines, "approve", Role.BAD, exact)


def deny(approval: Approval) -> Asking:
    about = f" for #{approval.task_id}" if approval.task_id else ""
    lines = (f"{approval.code}{about}: {one_line(approval.summary)}",)
    return Asking(f"Deny {approval.code}?", lines, "deny", note="why, if you like")


def _one(task: Task, now: float) -> str:
    where = f" on {task.node} for {task_age(task, now)}" if task.state in LIVE_STATES else ""
    return f"#{task.id} {task.state.replace('_', ' ')}{where}  {one_line(task.title)}"
