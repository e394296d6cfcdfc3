"""Why a task waits: the dispatcher's own verdicts, its place, and what stands in front of it."""

from __future__ import annotations

from dataclasses import dataclass

from common.clock import to_datetime_or_none
from common.wire.tasks import NodeVerdict, OnLost, TaskState, Why
from hubd.domain import dispatch, places, replies
from hubd.domain.dispatch import NodeView, Verdict
from hubd.domain.records import TaskRecord
from hubd.services import journal
from hubd.services.env import Env
from hubd.store import attempts, nodes, tasks
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
    if obstacle is None and not able:
        obstacle = wait_words(source, env, task)
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
        return f"{task.wait_reason or 'waits'}; may start in {left}"
    user = tasks.session_user(source.conn, task)
    if user is not None:
        return f"#{user} works in the same conversation"
    return None


def wait_words(source: Tx | View, env: Env, task: TaskRecord) -> str | None:
    """What a task says that waits for the node on which its session is, or on which it runs."""
    if task.state is TaskState.UNKNOWN:
        return silence_words(source, env, task)
    place = tasks.place_of(task)
    if not task.sticky or place is None or task.wait_until is None:
        return None
    node = nodes.find(source.conn, place)
    view = node_views(source, env, {place: 1}).get(place)
    if node is None or view is None:
        return places.waits_words(place, None, _clock(source, env, task.wait_until), ELSEWHERE)
    verdict = dispatch.judge(view, tasks.lane_of(task), source.now, env.config.hub.stale_after_s)
    if verdict.ok:
        return None
    absence = node.absence if verdict.refusal is dispatch.Refusal.AWAY else verdict.text
    return places.waits_words(place, absence, _clock(source, env, task.wait_until), ELSEWHERE)


ELSEWHERE = "starts elsewhere"


def silence_words(source: Tx | View, env: Env, task: TaskRecord) -> str:
    """What an attempt waits for whose node is silent."""
    node = None if task.node is None else nodes.find(source.conn, task.node)
    until = _clock(source, env, lost_at(source, env, task))
    if task.cancel_requested:
        then = "counts as stopped"
    elif task.on_lost is OnLost.HOLD and task.avoid_node != task.node:
        then = "asks you"
    else:
        then = ELSEWHERE
    return places.waits_words(task.node or "", node.absence if node else None, until, then)


def lost_at(source: Tx | View, env: Env, task: TaskRecord) -> float:
    """When the silent attempt of a task is given up."""
    node = None if task.node is None else nodes.find(source.conn, task.node)
    return places.lost_at(
        task.unknown_since or source.now,
        None if node is None else node.leaving,
        env.config.hub,
        moved=task.node is not None and task.avoid_node == task.node,
        stopped=task.cancel_requested,
    )


def waits_since(source: Tx | View, task: TaskRecord) -> float | None:
    """Since when it waits for its node."""
    if task.state is TaskState.UNKNOWN:
        return task.unknown_since
    ended = [a.ended_at for a in attempts.of_task(source.conn, task.id) if a.ended_at]
    return max(ended, default=None)


def _clock(source: Tx | View, env: Env, at: float) -> str:
    return places.clock_time(at, source.now, env.zone)


_OTHER_REASONS = {
    TaskState.NEEDS_ATTENTION: "it asks whether to go on: retry or stop it",
    TaskState.LEASED: "it is about to start",
    TaskState.RUNNING: "it is running",
    TaskState.CANCELLING: "it is being stopped",
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
    if task.state is TaskState.UNKNOWN:
        words = silence_words(source, env, task)
        sooner = "" if task.avoid_node == task.node else f". retry {task.id} elsewhere moves it"
        return Why(task_id=task.id, state=task.state, reason=f"it {words}{sooner}")
    if task.state is TaskState.WAITING_APPROVAL:
        reason = f"it waits for a yes to {task.approval_code}"
    elif task.state is TaskState.NEEDS_ATTENTION and task.wait_reason:
        reason = task.wait_reason
    else:
        reason = _OTHER_REASONS.get(task.state, f"it is over: {task.state.value}")
    if task.node is not None:
        reason += f" on {task.node}"
    return Why(task_id=task.id, state=task.state, reason=reason)
