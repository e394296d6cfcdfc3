"""New tasks, from wherever they come: idempotent, gated, told their place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from common.wire.events import Entity
from common.wire.tasks import TERMINAL_STATES, SubmitTask, TaskState
from hubd.domain import approvals as rules
from hubd.domain import names, replies
from hubd.domain.records import TaskRecord
from hubd.errors import (
    ConflictError,
    ForbiddenError,
    IdempotencyMismatchError,
    NotFoundError,
    UnknownNameError,
)
from hubd.services import asking, present, waiting
from hubd.services.env import Env
from hubd.services.projects import checked_project
from hubd.store import nodes, tasks
from hubd.store.transaction import Tx, View


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a task came from: `source` is api, text or control."""

    source: str
    by: str
    conversation: str | None = None
    files: tuple[str, ...] = ()


def body_hash(kind: str, request: msgspec.Struct | int) -> str:
    return hashlib.sha256(msgspec.json.encode((kind, request))).hexdigest()


def known_submission(tx: Tx, key: str | None, digest: str) -> TaskRecord | None:
    """The task an idempotency key stands for; raises IdempotencyMismatchError."""
    found = None if key is None else tasks.find_key(tx.conn, key)
    if found is None:
        return None
    known_hash, task_id = found
    if known_hash != digest:
        raise key_used()
    return find_task(tx, task_id)


def key_used() -> IdempotencyMismatchError:
    return IdempotencyMismatchError(
        "this Idempotency-Key was used for another request: send a new key"
    )


def find_task(tx: Tx | View, task_id: int) -> TaskRecord:
    task = tasks.find(tx.conn, task_id)
    if task is None:
        raise NotFoundError(f"there is no task #{task_id}")
    return task


def with_known_names(source: Tx | View, request: SubmitTask) -> SubmitTask:
    """The request with its names as their owners spell them; raises UnknownNameError for one that
    nothing has. What is known and away is waited for. Before the first node has registered only
    a node's own name is refused: what it will bring cannot be known."""
    everyone = nodes.everyone(source.conn)
    node = _known("node", request.node, {each.name for each in everyone})
    if not everyone:
        return request
    specialists = {name for each in everyone for name in each.specialists}
    labels = {label for each in everyone for label in each.labels}
    return msgspec.structs.replace(
        request,
        node=node,
        specialist=_known("specialist", request.specialist, specialists),
        requires=[_known("node's label", label, labels) or label for label in request.requires],
    )


def _known(kind: str, name: str | None, known: set[str]) -> str | None:
    if name is None:
        return None
    found = names.resolve(name, known)
    if found is None:
        raise UnknownNameError(names.unknown(kind, name, known))
    return found


def submit(
    tx: Tx,
    env: Env,
    request: SubmitTask,
    origin: Origin,
    *,
    key: str | None = None,
    digest: str = "",
    retry_of: int | None = None,
    gated: bool = False,
    wait_s: float = 0.0,
    avoid_node: str | None = None,
) -> TaskRecord:
    """Record a task (T1). With `key` the caller has checked `known_submission`; `gated` asks for
    a yes as if the request did; `wait_s` leaves room for the words that belong to it; `avoid_node`
    is one it shall not run on."""
    if gated:
        request = msgspec.structs.replace(request, approval=True)
    match rules.gate(request, env.config.approval):
        case rules.Gate.REFUSE:
            raise ForbiddenError("the policy refuses this task (approval.deny in mesh.toml)")
        case rules.Gate.ASK:
            state = TaskState.WAITING_APPROVAL
        case rules.Gate.OPEN:
            state = TaskState.QUEUED
    if request.continue_of is None:  # what continues works where it worked
        project = checked_project(tx, request)
        request = msgspec.structs.replace(request, project=project)
    task = replace(_new_task(tx, env, request, origin, state, retry_of), avoid_node=avoid_node)
    if wait_s and state is TaskState.QUEUED:
        why = "waits for the words that may belong to it"
        task = replace(task, not_before=tx.now + wait_s, wait_reason=why)
    task = replace(task, id=tasks.insert(tx.conn, task))
    if key is not None:
        tasks.insert_key(tx.conn, key, digest, task.id)
    if state is TaskState.WAITING_APPROVAL:
        approval = asking.record_question(tx, env, asking.gate_question(env, task))
        ready = replace(task, approval_code=approval.code, wait_reason="waits for your yes")
    else:
        ready = replace(task, wait_reason=task.wait_reason or waiting.look(tx, env, task).reason)
    tasks.update(tx.conn, task, ready)
    detail = {"by": origin.by, "source": origin.source}
    tx.emit("task.submitted", Entity.TASK, str(ready.id), present.task(ready), detail)
    return ready


def _new_task(
    tx: Tx,
    env: Env,
    request: SubmitTask,
    origin: Origin,
    state: TaskState,
    retry_of: int | None,
) -> TaskRecord:
    request = _with_limits_of(tx, request)
    cap = request.max_cost_usd or env.config.budget.per_task_usd or None
    return TaskRecord(
        id=0,
        title=request.title or title_of(request.prompt),
        prompt=request.prompt,
        state=state,
        created_at=tx.now,
        updated_at=tx.now,
        priority=request.priority,
        specialist=request.specialist,
        pinned_node=request.node,
        requires=tuple(request.requires),
        project=request.project,
        branch=request.branch,
        model=request.model,
        max_cost_usd=cap,
        timeout_s=request.timeout_s,
        on_lost=request.on_lost,
        files=origin.files,
        source=origin.source,
        submitted_by=origin.by,
        conversation=origin.conversation,
        retry_of=retry_of,
        **_continued(tx, request),
    )


def _with_limits_of(tx: Tx, request: SubmitTask) -> SubmitTask:
    """A follow-up has the limits of what it continues, unless it names its own: whoever capped a
    task did not mean its next sentence to run without a cap."""
    if request.continue_of is None:
        return request
    before = find_task(tx, request.continue_of)
    return msgspec.structs.replace(
        request,
        max_cost_usd=request.max_cost_usd or before.max_cost_usd,
        timeout_s=request.timeout_s or before.timeout_s,
    )


def _continued(tx: Tx, request: SubmitTask) -> dict[str, Any]:
    """The session a follow-up goes on in. It waits for the node that holds it, unless `fresh`."""
    if request.continue_of is None:
        return {}
    before = find_task(tx, request.continue_of)
    if before.session_id is None or before.session_node is None:
        if before.state not in TERMINAL_STATES:
            began = (
                "has begun and has" if before.started_at is not None else "has not begun and has"
            )
            raise ConflictError(
                f"#{before.id} {began} no session to go on in yet: wait for it, or stop it and "
                "send the whole text"
            )
        return {"continue_of": before.id}
    if request.fresh or request.node not in (None, before.session_node):
        return {"continue_of": before.id}
    return {
        "continue_of": before.id,
        "session_id": before.session_id,
        "session_node": before.session_node,
        "sticky": True,
    }


def title_of(prompt: str) -> str:
    """The first line, as a list shows it."""
    text = replies.clean(prompt).strip()
    return replies.beginning(text, lines=1, chars=80) or "(no text)"


def again(task: TaskRecord) -> SubmitTask:
    """The request that runs a finished task once more."""
    return SubmitTask(
        prompt=task.prompt,
        title=task.title[:200],
        specialist=task.specialist,
        node=task.pinned_node,
        requires=list(task.requires),
        priority=task.priority,
        project=task.project,
        branch=task.branch,
        model=task.model,
        max_cost_usd=task.max_cost_usd,
        timeout_s=task.timeout_s,
        on_lost=task.on_lost,
        continue_of=task.continue_of,
    )
