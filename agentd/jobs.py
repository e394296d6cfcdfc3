"""The job of an attempt: what its runner is told, in which session, with which means."""

from __future__ import annotations

from uuid import UUID, uuid5

from agentd.environment import attempt_environment
from agentd.errors import SpecialistError
from agentd.means import Means
from agentd.opening import Situation, opening
from agentd.runners.protocol import Job, NamesSessions
from agentd.specialists import Specialist
from agentd.workspace import Place
from common.wire.nodes import Lease, TaskSpec

MESSAGES = UUID("6f4e1c52-58a7-4b0e-9d6e-0b8f3c1f7a21")
"""The name space of what agentd says to sessions: the same saying has the same UUID."""


def make_job(
    lease: Lease,
    means: Means,
    prompt: str,
    place: Place,
    session_id: str | None,
    *,
    session_gone: bool = False,
) -> Job:
    """The job of `lease` in `place`. `session_gone`: the session that it was to resume turned out
    to be unknown. Raises SpecialistError."""
    task = lease.task
    resumed = None if session_gone else task.session_id
    environment = attempt_environment(
        means.environment, means.configured_env, fence=lease.fence, agent_mark=means.agent_mark
    )
    message_id = _message_id(session_id, "task", task.id)
    heard = resumed is not None and _has_heard(means, task, resumed, message_id, environment)
    situation = Situation(
        heard=heard,
        continues=resumed is not None,
        kept=place.kept,
        here=task.earlier is not None and task.earlier.node == means.node,
    )
    return Job(
        fence=lease.fence,
        prompt=opening(prompt, task.earlier, situation),
        folder=place.folder,
        environment=environment,
        specialist=_specialist(task, means),
        model=task.model,
        session_id=resumed,
        new_session_id=session_id,
        message_id=_message_id(session_id, "fence", lease.fence) if heard else message_id,
        resume=task.resume,
        max_cost_usd=task.max_cost_usd,
        max_turns=means.limits.max_turns,
        trust_project=place.trusted,
        leave=place.leave,
    )


def _message_id(session_id: str | None, kind: str, number: int) -> str:
    return str(uuid5(MESSAGES, f"{session_id}/{kind}/{number}"))


def _has_heard(
    means: Means, task: TaskSpec, session_id: str, message_id: str, environment: dict[str, str]
) -> bool:
    """Whether the session has this task's prompt: its own record decides where there is one."""
    if isinstance(means.runner, NamesSessions):
        known = means.runner.has_heard(session_id, message_id, environment)
        if known is not None:
            return known
    return means.workspace.heard_task(session_id) == task.id


def _specialist(task: TaskSpec, means: Means) -> Specialist | None:
    if task.specialist is None:
        return None
    specialist = means.specialists.get(task.specialist)
    if specialist is None and task.specialist in means.broken_specialists:
        raise SpecialistError(f"{means.broken_specialists[task.specialist]} Repair it, and retry.")
    if specialist is None:
        raise SpecialistError(
            f"this node has no specialist {task.specialist}; it has:"
            f" {', '.join(sorted(means.specialists)) or 'none'}"
        )
    return specialist
