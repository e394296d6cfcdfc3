"""One task through a real hub, driven as agent, operator and bridge drive it."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime

from common.client import BridgeApi, LinkUp, NodeApi, OperatorApi, follow_hub, follow_output
from common.fold import FoldedState
from common.wire.admin import Role
from common.wire.events import Event, Snapshot
from common.wire.messages import BridgeReport, ClaimOutbox, InboundMessage, OutboxOutcome
from common.wire.nodes import (
    Claim,
    Heartbeat,
    OutputItem,
    OutputKind,
    PostOutput,
    PostResult,
    RegisterNode,
    StartAttempt,
)
from common.wire.tasks import SubmitTask, TaskState, Usage
from tests.contract.hubd.harness import RunningHub, local_hub


async def _ready_node(hub: RunningHub, name: str = "Rex") -> NodeApi:
    node = NodeApi(await hub.client(Role.NODE, name), name)
    await node.register(RegisterNode(slots=2, runners=["rehearsal"], account="default"))
    await node.heartbeat(Heartbeat())
    return node


async def test_a_task_is_submitted_claimed_run_and_finished_over_http(hub: RunningHub) -> None:
    operator = OperatorApi(await hub.client())
    node = await _ready_node(hub)
    async with operator.client, node.client:
        task = await operator.submit(SubmitTask(prompt="say hello"), idempotency_key="one")
        again = await operator.submit(SubmitTask(prompt="say hello"), idempotency_key="one")
        assert (task.id, task.state) == (again.id, TaskState.QUEUED)

        (lease,) = (await node.claim(Claim(free_slots=1, wait_s=5))).leases
        assert (lease.task.id, lease.task.prompt) == (task.id, "say hello")
        assert (await node.start(lease.fence, StartAttempt())).status == "applied"
        said = OutputItem(kind=OutputKind.TEXT, text="hello")
        await node.output(lease.fence, PostOutput(first=0, items=[said]))
        result = PostResult(
            outcome="ok",
            text="hello there",
            cost_usd=0.25,
            usage=[Usage(model="claude-sonnet-4-5", input_tokens=10, output_tokens=2)],
        )
        assert (await node.result(lease.fence, result)).status == "applied"
        assert (await node.result(lease.fence, result)).status == "duplicate"

        detail = await operator.task(task.id)
        assert (detail.state, detail.result) == (TaskState.SUCCEEDED, "hello there")
        assert [attempt.node for attempt in detail.attempts] == ["Rex"]
        lines = [line async for line in follow_output(operator.client, task.id)]
        assert [line.text for line in lines] == ["hello"]
        (row,) = (await operator.costs("node")).rows
        assert (row.key, row.cost_usd) == ("Rex", 0.25)


async def test_a_text_is_answered_once_through_the_outbox(mesh_home) -> None:  # type: ignore[no-untyped-def]
    async with local_hub(mesh_home, {"MESH_BRIDGE__ALLOW": '["+15551234567"]'}) as hub:
        bridge = BridgeApi(await hub.client(Role.BRIDGE))
        async with bridge.client:
            assert (await bridge.report(BridgeReport(state="ok"))).state == "ok"
            text = InboundMessage(
                guid="g-1",
                chat="iMessage;-;+15551234567",
                sender="+15551234567",
                text="status",
                sent_at=datetime.now(UTC),
            )
            assert (await bridge.deliver(text)).status == "accepted"
            assert (await bridge.deliver(text)).status == "duplicate"
            (item,) = (await bridge.claim(ClaimOutbox(wait_s=5))).items
            outcome = OutboxOutcome(outcome="sent", guid="g-2", claim=item.claim)
            sent = await bridge.report_sent(item.id, outcome)
            assert (sent.id, sent.state) == (f"out-{item.id}", "sent")
            assert (await bridge.claim(ClaimOutbox(wait_s=0))).items == []


async def test_events_folded_into_the_snapshot_give_the_next_snapshot(hub: RunningHub) -> None:
    operator = OperatorApi(await hub.client())
    async with operator.client, aclosing(follow_hub(operator.client)) as feed:
        state = None
        async for item in feed:
            if isinstance(item, Snapshot):
                state = FoldedState.of(item)
            elif isinstance(item, LinkUp):
                for number in range(3):
                    task = SubmitTask(prompt=f"task {number}")
                    await operator.submit(task, idempotency_key=str(number))
                await operator.cancel(2)
            elif isinstance(item, Event):
                assert state is not None
                state.apply(item)
                if state.tasks.get(2) and state.tasks[2].state is TaskState.CANCELLED:
                    break
        assert state == FoldedState.of(await operator.snapshot())
