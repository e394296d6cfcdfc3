"""What can be asked of the hub: the sentence while it is pending, the call, the sentence after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from common.errors import MeshError
from common.wire.admin import SetHold
from common.wire.approvals import (
    AnswerApproval,
    Approval,
    ApprovalKind,
    ApprovalState,
    Decision,
    Reach,
)
from common.wire.messages import SendMessage
from common.wire.nodes import DrainNode, Node
from common.wire.tasks import SubmitTask, Task, TaskState
from tui.hub import Calls
from tui.state.store import Ref


@dataclass(frozen=True, slots=True)
class Order:
    """`call` returns the sentence that confirms it; its MeshError is the one that refuses it."""

    ref: Ref
    pending: str
    call: Callable[[Calls], Awaitable[str]]

    def then(self, ended: Callable[[bool], None]) -> Order:
        """The same, which also tells `ended` whether it was confirmed."""

        async def call(calls: Calls) -> str:
            try:
                sentence = await self.call(calls)
            except MeshError:
                ended(False)
                raise
            ended(True)
            return sentence

        return replace(self, call=call)


def task_ref(task_id: int) -> Ref:
    return Ref("task", str(task_id))


def answer(
    approval: Approval,
    decision: Decision,
    *,
    note: str | None = None,
    choice: str | None = None,
    scope: Reach = Reach.ONCE,
) -> Order:
    """Answer the question as it was shown: its digest goes along."""
    verb = "approving" if decision is Decision.APPROVE else "denying"
    body = AnswerApproval(
        decision=decision, note=note, answer=choice, digest=approval.digest or None, scope=scope
    )

    async def call(calls: Calls) -> str:
        answered = await calls.answer(approval.code, body)
        task = f": #{answered.task_id}" if answered.task_id else ""
        yes = answered.state is ApprovalState.APPROVED
        goes = " goes on" if approval.kind in {ApprovalKind.TOOL, ApprovalKind.QUESTION} else ""
        for_all = ", also for the rest of it" if answered.scope is Reach.TASK else ""
        return f"{answered.code} {answered.state}{task}{goes if yes and task else ''}{for_all}"

    return Order(Ref("approval", str(approval.id)), f"{verb} {approval.code}", call)


def revoke(task: Task) -> Order:
    async def call(calls: Calls) -> str:
        return f"#{(await calls.revoke(task.id)).id} asks again from now on"

    return Order(task_ref(task.id), f"taking back what #{task.id} was allowed", call)


def submit(task: SubmitTask, key: str) -> Order:
    async def call(calls: Calls) -> str:
        made = await calls.submit(task, idempotency_key=key)
        asks = made.state is TaskState.WAITING_APPROVAL
        return f"#{made.id} {'waits for approval' if asks else made.state}: {made.title}"

    return Order(Ref("new"), "submitting a task", call)


def cancel(task: Task) -> Order:
    async def call(calls: Calls) -> str:
        now = await calls.cancel(task.id)
        stopping = now.state is TaskState.CANCELLING
        return f"#{now.id} {f'is being stopped on {now.node}' if stopping else now.state}"

    return Order(task_ref(task.id), f"cancelling #{task.id}", call)


def retry(task: Task, key: str) -> Order:
    async def call(calls: Calls) -> str:
        made = await calls.retry(task.id, idempotency_key=key)
        return f"#{made.id} {made.state}, again what #{task.id} was"

    return Order(task_ref(task.id), f"retrying #{task.id}", call)


def move(task: Task, key: str) -> Order:
    async def call(calls: Calls) -> str:
        moved = await calls.retry(task.id, idempotency_key=key, elsewhere=True)
        return f"#{moved.id} {moved.wait_reason or 'moves'}"

    return Order(task_ref(task.id), f"moving #{task.id}", call)


def drain(node: Node, note: str | None) -> Order:
    async def call(calls: Calls) -> str:
        await calls.drain(node.name, DrainNode(note=note))
        return f"{node.name} drains: it finishes its work and takes no more"

    return Order(Ref("node", node.name), f"draining {node.name}", call)


def resume(name: str) -> Order:
    async def call(calls: Calls) -> str:
        await calls.resume(name)
        return f"{name} takes work again"

    return Order(Ref("node", name), f"resuming {name}", call)


def resume_account(name: str) -> Order:
    async def call(calls: Calls) -> str:
        await calls.resume_account(name)
        return f"account {name} is in service again"

    return Order(Ref("account", name), f"resuming account {name}", call)


def reset_breaker(name: str) -> Order:
    async def call(calls: Calls) -> str:
        await calls.reset_breaker(name)
        return f"{name}: breaker closed"

    return Order(Ref("node", name), f"resetting {name}'s breaker", call)


def hold(on: bool, reason: str | None = None) -> Order:
    async def call(calls: Calls) -> str:
        await calls.hold(SetHold(on=on, reason=reason))
        return "hold: nothing new starts" if on else "dispatch goes on"

    return Order(Ref("hold"), "holding dispatch" if on else "letting dispatch go on", call)


def say(text: str, chat: str | None, key: str) -> Order:
    """A line of the text grammar, typed here instead of on the phone."""

    async def call(calls: Calls) -> str:
        replies = await calls.say(SendMessage(text=text, chat=chat), idempotency_key=key)
        answers = [message.text for message in replies.messages if message.direction == "out"]
        return answers[-1].partition("\n")[0] if answers else "sent"

    return Order(Ref("conversation"), "sending the text", call)
