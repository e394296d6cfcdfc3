"""Tasks: their rows, the waiting lanes, and idempotency keys."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from common.model_class import model_class
from common.wire.tasks import LIVE_STATES, OnLost, Outcome, Priority, TaskState
from hubd.domain.dispatch import RANK, Lane
from hubd.domain.records import GrantRecord, TaskRecord
from hubd.errors import ForbiddenTransitionError
from hubd.store.rows import Mapper, unpack


def _unpack_grants(text: str) -> tuple[GrantRecord, ...]:
    return msgspec.json.decode(text, type=tuple[GrantRecord, ...]) if text != "[]" else ()


def _pack_grants(grants: tuple[GrantRecord, ...]) -> str:
    return msgspec.json.encode(grants).decode()


TASKS = Mapper(
    "tasks",
    TaskRecord,
    key="id",
    generated_key=True,
    derived=("rank", "lane"),
    fixed=(
        "created_at", "priority", "specialist", "pinned_node", "requires",
        "project", "branch", "model", "max_cost_usd", "timeout_s", "on_lost", "source",
        "submitted_by", "conversation", "retry_of", "continue_of", "deadline",
    ),
    decode={
        "state": TaskState,
        "priority": Priority,
        "requires": unpack,
        "on_lost": OnLost,
        "files": unpack,
        "sticky": bool,
        "wait_told": bool,
        "cancel_requested": bool,
        "cancel_raced": bool,
        "grants": _unpack_grants,
    },
    encode={"grants": _pack_grants},
)  # fmt: skip

UPDATE_IF = (
    TASKS.update.replace(" SET ", " SET lane = :lane, ", 1)
    + " AND state = :was_state AND fence IS :was_fence"
)
FIND_KEY = "SELECT body_hash, task_id FROM submissions WHERE key = :key"
INSERT_KEY = "INSERT INTO submissions (key, body_hash, task_id) VALUES (:key, :body_hash, :task_id)"
_LIVE = "('leased', 'running', 'cancelling', 'unknown')"
# Two runs of one session would write over each other: its next task waits for the one that runs.
SESSION_USER = f"""
SELECT live.id FROM tasks live WHERE live.node = {{task}}.session_node
AND live.session_id = {{task}}.session_id AND live.state IN {_LIVE}
"""
_READY = f"""
q.state = 'queued' AND (q.not_before IS NULL OR q.not_before <= :now)
AND (q.session_id IS NULL OR NOT EXISTS ({SESSION_USER.format(task="q")}))
"""
LANE_HEADS = f"""
SELECT l.lane, t.rank, t.id FROM lanes l JOIN tasks t WHERE {{lanes}} AND t.id = (
    SELECT q.id FROM tasks q WHERE q.lane = l.lane AND {_READY}
    ORDER BY q.rank DESC, q.id LIMIT 1)
"""
ALL_LANES = "l.queued > 0"
LANES_OF_FEW = (
    "l.queued > 0 AND (l.pinned_node IS NULL OR l.pinned_node LIKE '!%'"
    " OR l.pinned_node IN ({marks}))"
)
FEW_NODES = 50
FIRST_OF_LANE = f"""
SELECT q.rank, q.id FROM tasks q WHERE q.lane = :lane AND {_READY}
AND q.id NOT IN (SELECT value FROM json_each(:skip)) ORDER BY q.rank DESC, q.id LIMIT 1
"""
NEXT_DUE = """
SELECT min(not_before) FROM tasks WHERE state = 'queued' AND not_before > :now
"""
AHEAD = """
SELECT count(*) FROM tasks WHERE state = 'queued' AND lane = :lane
AND (rank > :rank OR (rank = :rank AND id < :id))
"""
WHO_USES_SESSION = f"SELECT ({SESSION_USER.format(task='t')}) FROM tasks t WHERE t.id = :id"
COUNTS = "SELECT state, tasks FROM task_counts WHERE tasks > 0"
SET_RESULT = """
INSERT INTO results (task_id, text) VALUES (:task_id, :text)
ON CONFLICT (task_id) DO UPDATE SET text = excluded.text
"""
RESULT = "SELECT text FROM results WHERE task_id = :task_id"
LIVE_BY_NODE = """
SELECT node, count(*) FROM tasks
WHERE state IN ('leased', 'running', 'cancelling', 'unknown') GROUP BY node
"""

REFUSED = (Outcome.PROVIDER_LIMIT, Outcome.PROVIDER_BUSY, Outcome.NEEDS_LOGIN)
WAITING_FOR_ACCOUNT = """
WHERE state = 'queued' AND not_before IS NOT NULL AND outcome IN ({refused})
AND (SELECT a.account FROM attempts a WHERE a.task_id = tasks.id
     ORDER BY a.fence DESC LIMIT 1) = :login
"""

_UNFINISHED = (
    "('queued', 'waiting_approval', 'needs_attention', "
    "'leased', 'running', 'cancelling', 'unknown')"
)


def lane_of(task: TaskRecord) -> Lane:
    """A task that goes on in its session asks for the node that holds it; one that was moved away
    from a node asks for any other."""
    pinned = task.pinned_node or (place_of(task) if task.sticky else None)
    avoid = task.avoid_node
    if avoid is not None and pinned == avoid:
        pinned = None
    if pinned is not None:
        avoid = None
    return Lane(
        pinned, task.specialist, task.requires, task.project, model_class(task.model), avoid
    )


def place_of(task: TaskRecord) -> str | None:
    """The node that holds its session, or at least the folder in which it ran last."""
    return task.session_node or task.last_node


def insert(conn: sqlite3.Connection, task: TaskRecord) -> int:
    """The new task's id; the record's own is ignored."""
    values = TASKS.values(task)
    values |= {"rank": RANK[task.priority], "lane": lane_of(task).key}
    task_id = conn.execute(TASKS.insert, values).lastrowid
    assert task_id is not None
    return task_id


def update(conn: sqlite3.Connection, was: TaskRecord, task: TaskRecord) -> None:
    """Write a task that still is as `was`; raises ForbiddenTransitionError otherwise."""
    values = TASKS.values(task)
    values |= {"was_state": was.state, "was_fence": was.fence, "lane": lane_of(task).key}
    if conn.execute(UPDATE_IF, values).rowcount != 1:
        raise ForbiddenTransitionError(f"task {task.id} changed under a transaction")


def find(conn: sqlite3.Connection, task_id: int) -> TaskRecord | None:
    return TASKS.find(conn, "WHERE id = :id", {"id": task_id})


def find_many(conn: sqlite3.Connection, ids: Sequence[int]) -> list[TaskRecord]:
    marks = ", ".join(str(int(i)) for i in ids)
    return TASKS.find_all(conn, f"WHERE id IN ({marks}) ORDER BY id", {})


def find_key(conn: sqlite3.Connection, key: str) -> tuple[str, int] | None:
    """Body hash and task of an idempotency key."""
    rows = conn.execute(FIND_KEY, {"key": key}).fetchall()
    return (rows[0][0], rows[0][1]) if rows else None


def insert_key(conn: sqlite3.Connection, key: str, body_hash: str, task_id: int) -> None:
    conn.execute(INSERT_KEY, {"key": key, "body_hash": body_hash, "task_id": task_id})


def lane_heads(
    conn: sqlite3.Connection, now: float, nodes: Collection[str]
) -> list[tuple[Lane, int, int]]:
    """For every lane that one of `nodes` may serve now: its first task's rank and id. With many
    nodes lanes of others may be among them."""
    params: dict[str, Any] = {"now": now}
    lanes = ALL_LANES
    if len(nodes) <= FEW_NODES:
        names = {f"node{i}": name for i, name in enumerate(nodes)}
        lanes = LANES_OF_FEW.format(marks=", ".join(f":{mark}" for mark in names))
        params |= names
    rows = conn.execute(LANE_HEADS.format(lanes=lanes), params).fetchall()
    return [(parse_lane(lane), rank, task_id) for lane, rank, task_id in rows]


@lru_cache(maxsize=4096)
def parse_lane(key: str) -> Lane:
    return Lane.parse(key)


def first_of_lane(
    conn: sqlite3.Connection, lane: Lane, now: float, *, skip: Collection[int]
) -> tuple[int, int] | None:
    """Rank and id of the task served next; those in `skip` cannot be."""
    params = {"lane": lane.key, "now": now, "skip": json.dumps(sorted(skip))}
    rows = conn.execute(FIRST_OF_LANE, params).fetchall()
    return rows[0] if rows else None


def next_due(conn: sqlite3.Connection, now: float) -> float | None:
    """When the next task that waits for a time becomes dispatchable."""
    due: float | None = conn.execute(NEXT_DUE, {"now": now}).fetchall()[0][0]
    return due


def ahead(conn: sqlite3.Connection, task: TaskRecord) -> int:
    """How many tasks of its lane are served before it."""
    params = {"lane": lane_of(task).key, "rank": RANK[task.priority], "id": task.id}
    return int(conn.execute(AHEAD, params).fetchall()[0][0])


def session_user(conn: sqlite3.Connection, task: TaskRecord) -> int | None:
    """The task that works in this one's session now."""
    if task.session_id is None:
        return None
    rows = conn.execute(WHO_USES_SESSION, {"id": task.id}).fetchall()
    user: int | None = rows[0][0] if rows else None
    return user


def waiting_for_account(conn: sqlite3.Connection, login: str) -> list[TaskRecord]:
    """Queued tasks that wait because this login refused their last attempt."""
    refused = ", ".join(f"'{outcome.value}'" for outcome in REFUSED)
    return TASKS.find_all(conn, WAITING_FOR_ACCOUNT.format(refused=refused), {"login": login})


def counts(conn: sqlite3.Connection) -> dict[TaskState, int]:
    """How many tasks are in each state; kept, not counted."""
    return {TaskState(state): n for state, n in conn.execute(COUNTS).fetchall()}


def live_counts(conn: sqlite3.Connection) -> dict[str, int]:
    """Busy slots by node."""
    return dict(conn.execute(LIVE_BY_NODE).fetchall())


def live_of(conn: sqlite3.Connection, node: str) -> list[TaskRecord]:
    return TASKS.find_all(
        conn, f"WHERE node = :node AND state IN {_LIVE} ORDER BY id", {"node": node}
    )


def in_state(
    conn: sqlite3.Connection, states: Iterable[TaskState], limit: int = 10_000
) -> list[TaskRecord]:
    """Unfinished tasks in these states, oldest first."""
    wanted = ", ".join(f"'{state.value}'" for state in states)
    return TASKS.find_all(
        conn,
        f"WHERE state IN ({wanted}) AND state IN {_UNFINISHED} ORDER BY id LIMIT :limit",
        {"limit": limit},
    )


def live(conn: sqlite3.Connection) -> list[TaskRecord]:
    return in_state(conn, LIVE_STATES)


def waited_out(conn: sqlite3.Connection, now: float) -> list[TaskRecord]:
    """Those that have waited for their node for as long as was said."""
    return TASKS.find_all(
        conn,
        "WHERE state = 'queued' AND wait_until IS NOT NULL AND wait_until <= :now ORDER BY id",
        {"now": now},
    )


def overdue(conn: sqlite3.Connection, now: float) -> list[TaskRecord]:
    return TASKS.find_all(
        conn,
        "WHERE state = 'queued' AND deadline IS NOT NULL AND deadline < :now",
        {"now": now},
    )


def page(
    conn: sqlite3.Connection,
    *,
    states: Sequence[TaskState],
    node: str | None,
    specialist: str | None,
    text: str | None,
    limit: int,
    before: int | None,
) -> list[TaskRecord]:
    """Newest first."""
    where = ["1"]
    params: dict[str, Any] = {"limit": limit}
    if states:
        where.append("state IN (" + ", ".join(f"'{TaskState(s).value}'" for s in states) + ")")
    if node is not None:
        where.append("coalesce(node, last_node, pinned_node) = :node")
        params["node"] = node
    if specialist is not None:
        where.append("specialist = :specialist")
        params["specialist"] = specialist
    if text is not None:
        where.append("(instr(lower(prompt), :text) OR instr(lower(title), :text))")
        params["text"] = text.lower()
    if before is not None:
        where.append("id < :before")
        params["before"] = before
    return TASKS.find_all(
        conn, f"WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :limit", params
    )


def set_result(conn: sqlite3.Connection, task_id: int, text: str) -> None:
    conn.execute(SET_RESULT, {"task_id": task_id, "text": text})


def result(conn: sqlite3.Connection, task_id: int) -> str | None:
    rows = conn.execute(RESULT, {"task_id": task_id}).fetchall()
    return rows[0][0] if rows else None


def last_finished(conn: sqlite3.Connection, limit: int) -> list[TaskRecord]:
    """The newest finished tasks, oldest of them first."""
    found = TASKS.find_all(
        conn,
        "WHERE state IN ('succeeded', 'failed', 'cancelled', 'denied') "
        "ORDER BY id DESC LIMIT :limit",
        {"limit": limit},
    )
    return found[::-1]
