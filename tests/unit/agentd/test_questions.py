"""Questions in flight: asked once, answered by whichever road is first, parked in time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from agentd.questions import QuestionDesk
from agentd.runners.protocol import Answer, ApprovalRequested
from agentd.stops import Reason, Stop
from common.client import HubError, HubUnreachableError
from common.clock import SystemClock
from common.wire.approvals import Approval, ApprovalKind, ApprovalState, Decision
from common.wire.nodes import AnswerOrder, Ask
from tests.contract.agentd.agent_process import until

REQUEST = ApprovalRequested(
    request_id="r1", kind="tool", summary="Bash: ls", detail="{}", tool="Bash"
)
PENDING = Approval(
    id=1,
    code="K1",
    kind=ApprovalKind.TOOL,
    state=ApprovalState.PENDING,
    summary="Bash: ls",
    asked_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Hub:
    """Holds one question; `decided` answers it."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[Ask] = []
        self.approval_now = PENDING
        self.decided = asyncio.Event()

    async def ask(self, fence: int, question: Ask) -> Approval:
        self.asked.append(question)
        if self.failures:
            raise self.failures.pop(0)
        return PENDING

    async def approval(self, code: str, *, wait_s: float) -> Approval:
        try:
            async with asyncio.timeout(wait_s):
                await self.decided.wait()
        except TimeoutError:
            pass
        return self.approval_now

    def decide(self, state: ApprovalState, **fields: object) -> None:
        self.approval_now = msgspec.structs.replace(PENDING, state=state, **fields)
        self.decided.set()


class Desk:
    """A desk and what came of it."""

    def __init__(self, hub: Hub, *, park_after_s: float = 60.0) -> None:
        self.replies: list[tuple[str, Answer]] = []
        self.stops: list[Stop] = []
        self.desk = QuestionDesk(
            7,
            hub,
            SystemClock(),
            park_after_s=park_after_s,
            reply=self._reply,
            stop=self.stops.append,
        )
        self.desk.may_park = True
        self.desk.ask(REQUEST)

    async def _reply(self, request_id: str, answer: Answer) -> None:
        self.replies.append((request_id, answer))


@pytest.mark.parametrize(
    ("state", "fields", "answer"),
    [
        (ApprovalState.APPROVED, {}, Answer(allow=True)),
        (ApprovalState.APPROVED, {"answer": "Red"}, Answer(allow=True, text="Red")),
        (ApprovalState.DENIED, {"note": "no!"}, Answer(allow=False, text="no!")),
        (ApprovalState.WITHDRAWN, {}, Answer(allow=False)),
    ],
)
async def test_a_decision_goes_back_to_the_run(
    state: ApprovalState, fields: dict[str, str], answer: Answer
) -> None:
    hub = Hub()
    desk = Desk(hub)
    hub.decide(state, **fields)
    await until(lambda: desk.replies)
    assert desk.replies == [("r1", answer)]
    assert not desk.desk.waiting


async def test_a_heartbeat_may_bring_the_answer_first_and_it_counts_once() -> None:
    hub = Hub()
    desk = Desk(hub)
    await until(lambda: desk.desk.waiting and hub.asked)
    await asyncio.sleep(0)
    await desk.desk.take_order(AnswerOrder(code="K1", fence=7, decision=Decision.APPROVE))
    hub.decide(ApprovalState.APPROVED)
    await desk.desk.take_order(AnswerOrder(code="K1", fence=7, decision=Decision.APPROVE))
    await desk.desk.close()
    assert desk.replies == [("r1", Answer(allow=True))]


async def test_a_question_is_repeated_under_its_id_until_the_hub_answers() -> None:
    hub = Hub(HubUnreachableError("away"), HubError("full", hub_code="x", hub_status=507))
    desk = Desk(hub)
    hub.decide(ApprovalState.APPROVED)
    await until(lambda: desk.replies)
    assert [question.ask_id for question in hub.asked] == ["r1", "r1", "r1"]


async def test_an_unanswered_question_parks_under_its_code() -> None:
    desk = Desk(Hub(), park_after_s=0.05)
    await until(lambda: desk.stops)
    assert (desk.stops[0].reason, desk.stops[0].code) == (Reason.PARKED, "K1")
    assert desk.replies == []


async def test_a_stale_fence_stops_the_attempt_and_a_refusal_is_a_no() -> None:
    stale = Desk(Hub(HubError("stale", hub_code="fenced", hub_status=409)))
    await until(lambda: stale.stops)
    assert stale.stops[0].reason is Reason.FENCED
    refused = Desk(Hub(HubError("not allowed", hub_code="forbidden", hub_status=403)))
    await until(lambda: refused.replies)
    assert not refused.replies[0][1].allow
    assert "not allowed" in (refused.replies[0][1].text or "")


async def test_a_question_that_cannot_be_put_is_a_no_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub(UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"))
    desk = Desk(hub)
    await until(lambda: desk.replies)
    reason = "Nobody could be asked (a fault inside agentd; see its log). Go on without it."
    assert desk.replies == [("r1", Answer(allow=False, text=reason))]
    assert "question failed inside agentd" in caplog.messages


async def test_a_withdrawn_question_gets_no_answer() -> None:
    hub = Hub()
    desk = Desk(hub)
    await until(lambda: hub.asked)
    desk.desk.withdraw("r1")
    hub.decide(ApprovalState.APPROVED)
    await desk.desk.close()
    assert desk.replies == []
