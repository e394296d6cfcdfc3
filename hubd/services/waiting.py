"""Why a task waits: the dispatcher's own verdicts, its place, and what stands in front of it."""

from __future__ import annotations

from dataclasses import dataclass

from common.clock import to_datetime_or_none
from common.wire.tasks import NodeVerdict, TaskState, Why
from hubd.domain import dispatch, replies
from hubd.domain.dispatch import NodeView, Verdict
from hubd.domain.records import TaskRecord
from hubd.services import journal
from hubd.services.env import Env
from hubd.store import nodes, tasks
from hubd.store.transaction import Tx, View


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a waiting task can expect right now."""

    reason: str
    ahead: int
    would_run_on: str | None
    verdicts: list[Verdict]


def node_views(
    source: Tx | View, env: Env, offers: dict[str, int] | None = None
) -> dict[str, NodeView]:
    """Every node as the dispatcher sees it; with `offers` only those that are asking for work."""
    conn = source.conn
    busy = tasks.live_counts(conn)
    breakers = nodes.breakers(conn)
    accounts = nodes.accounts(conn)
    return {
        node.name: NodeView(
            node=node,
            heartbeat_at=heartbeat_at,
            breaker=breakers.get(node.name),
            accounts=accounts,
            busy=busy.get(node.name, 0),
            offered=None if offers is None else offers.get(node.name),
        )
        for node, heartbeat_at in env.nodes.read(conn, offers)
    }


def look(
    source: Tx | View,
    env: Env,
    task: TaskRecord,
    views: dict[str, NodeView] | None = None,
    *,
    everyone: bool = False,
) -> Outlook:
    """Judge the nodes about a queued task: those it could ever use, or `everyone`. `views` spares
    reading them again."""
    stale_after_s = env.config.hub.stale_after_s
    lane = tasks.lane_of(task)
    views = node_views(source, env) if views is None else views
    asked = views.values() if everyone else dispatch.candidates(views, lane)
    verdicts = [dispatch.judge(view, lane, source.now, stale_after_s) for view in asked]
    able = [views[verdict.node] for verdict in verdicts if verdict.ok]
    best = min(able, key=lambda view: dispatch.score(view, source.now), default=None)
    obstacle = global_obstacle(source, env, task)
    return Outlook(
        reason=obstacle or dispatch.summarize(lane, verdicts),
        ahead=tasks.ahead(source.conn, task),
        would_run_on=None if best is None or obstacle else best.node.name,
        verdicts=verdicts,
    )


def global_obstacle(source: Tx | View, env: Env, task: TaskRecord) -> str | None:
    """What keeps a task from every node at once."""
    hold = journal.get_hold(source)
    if hold.on:
        return "the mesh is on hold" + (f": {hold.reason}" if hold.reason else "")
    spend = journal.spend_of(source, env)
    if spend.capped:
        return f"today's cap of {replies.dollars(spend.cap_usd or 0.0)} is reached"
    if task.not_before is not None and task.not_before > source.now:
        left = replies.duration(task.not_before - source.now)
        return f"{task.wait_reason or 'waits'}, again in {left}"
    user = tasks.session_user(source.conn, task)
    if user is not None:
        return f"#{user} works in the same conversation"
    return None


_OTHER_REASONS = {
    TaskState.NEEDS_ATTENTION: "its node went silent and the task asked not to be run again alone: "
    "retry or stop it",
    TaskState.LEASED: "it is about to start",
    TaskState.RUNNING: "it is running",
    TaskState.CANCELLING: "it is being stopped",
    TaskState.UNKNOWN: "its node has gone silent",
}


def why(source: Tx | View, env: Env, task: TaskRecord) -> Why:
    """The answer to `why 42`."""
    if task.state is TaskState.QUEUED:
        outlook = look(source, env, task, everyone=True)
        return Why(
            task_id=task.id,
            state=task.state,
            reason=outlook.reason,
            place=outlook.ahead + 1,
            would_run_on=outlook.would_run_on,
            nodes=[
                NodeVerdict(
                    node=verdict.node,
                    eligible=verdict.ok,
                    reason=verdict.text,
                    until=to_datetime_or_none(verdict.until),
                )
                for verdict in outlook.verdicts
            ],
        )
    if task.state is TaskState.WAITING_APPROVAL:
        reason = f"it waits for a yes to {task.approval_code}"
    else:
        reason = _OTHER_REASONS.get(task.state, f"it is over: {task.state.value}")
    if task.node is not None:
        reason += f" on {task.node}"
    return Why(task_id=task.id, state=task.state, reason=reason)
