"""Questions in flight: from the runner to a person through the hub, and the answer back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from agentd.runners.protocol import Answer, ApprovalRequested
from agentd.stops import Reason, Stop
from common.client import HubError, HubUnreachableError
from common.clock import Clock
from common.supervise import Backoff
from common.wire.approvals import Approval, ApprovalState, Decision, Risk
from common.wire.nodes import AnswerOrder, Ask

logger = logging.getLogger(__name__)

POLL_S = 25.0


class QuestionSink(Protocol):
    """What a question needs of the hub."""

    async def ask(self, fence: int, question: Ask) -> Approval: ...

    async def approval(self, code: str, *, wait_s: float) -> Approval: ...


class QuestionDesk:
    """The open questions of one attempt.

    Each is asked once (`ask_id`), polled for, and may also be answered by a heartbeat's order.
    One that stays open for `park_after_s` parks the attempt through `stop`.
    """

    def __init__(
        self,
        fence: int,
        sink: QuestionSink,
        clock: Clock,
        *,
        park_after_s: float,
        reply: Callable[[str, Answer], Awaitable[None]],
        stop: Callable[[Stop], None],
    ) -> None:
        self._fence = fence
        self._sink = sink
        self._clock = clock
        self._park_after_s = park_after_s
        self._reply = reply
        self._stop = stop
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._codes: dict[str, str] = {}
        self.may_park = False

    @property
    def waiting(self) -> bool:
        return bool(self._tasks)

    def ask(self, request: ApprovalRequested) -> None:
        """Begin to ask; the answer goes back by itself."""
        task = asyncio.create_task(
            self._ask(request), name=f"question {request.request_id} of {self._fence}"
        )
        self._tasks[request.request_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request.request_id, None))

    def withdraw(self, request_id: str) -> None:
        """The run does not want the answer any more."""
        if task := self._tasks.pop(request_id, None):
            task.cancel()

    async def take_order(self, order: AnswerOrder) -> None:
        """An answer that came with a heartbeat."""
        for request_id, code in tuple(self._codes.items()):
            if code == order.code:
                self.withdraw(request_id)
                await self._answer(request_id, order.decision, order.answer, order.note)

    async def close(self) -> None:
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, request: ApprovalRequested) -> None:
        """Ask and answer. The run stands still meanwhile, so whatever fails here is a no to it."""
        try:
            await self._put(request)
        except HubError as error:
            await self._refused(request, error)
        except Exception:
            logger.exception("question failed inside agentd", extra={"fence": self._fence})
            await self._deny(request, "a fault inside agentd; see its log")

    async def _put(self, request: ApprovalRequested) -> None:
        asked_at = self._clock.monotonic()
        question = Ask(
            kind=request.kind,
            summary=request.summary,
            detail=request.detail,
            choices=list(request.choices),
            tool=request.tool,
            ask_id=request.request_id,
            rules=list(request.rules),
            risk=(Risk.HIGH if request.high_risk else Risk.NORMAL).value,
        )
        approval = await self._reached(partial(self._sink.ask, self._fence, question))
        self._codes[request.request_id] = approval.code
        approval = await self._wait_for(approval, asked_at)
        if approval.state is ApprovalState.PENDING:
            detail = f"waits for the answer to {approval.code}: {request.summary}"
            self._stop(Stop(Reason.PARKED, detail, approval.code))
            return
        decision = Decision.APPROVE if approval.state is ApprovalState.APPROVED else Decision.DENY
        await self._answer(request.request_id, decision, approval.answer, approval.note)

    async def _wait_for(self, approval: Approval, asked_at: float) -> Approval:
        """Poll until it is answered, or until it is time to park."""
        while approval.state is ApprovalState.PENDING:
            left_s = POLL_S
            if self.may_park:
                left_s = asked_at + self._park_after_s - self._clock.monotonic()
                if left_s <= 0:
                    return approval
            poll = partial(self._sink.approval, approval.code, wait_s=min(left_s, POLL_S))
            approval = await self._reached(poll)
        return approval

    async def _reached(self, call: Callable[[], Awaitable[Approval]]) -> Approval:
        """Repeat `call` until the hub answers; a node without contact stops by itself in time."""
        backoff = Backoff(first_s=0.5, cap_s=10.0)
        while True:
            try:
                return await call()
            except HubUnreachableError:
                await asyncio.sleep(backoff.next_s())
            except HubError as error:
                if error.hub_status < 500 and error.hub_status != 429:
                    raise
                await asyncio.sleep(backoff.next_s())

    async def _refused(self, request: ApprovalRequested, error: HubError) -> None:
        if error.hub_status == 409:
            self._stop(Stop(Reason.FENCED, error.message))
            return
        logger.warning("question refused", extra={"fence": self._fence, "error": error.message})
        await self._deny(request, error.message)

    async def _deny(self, request: ApprovalRequested, why: str) -> None:
        reason = f"Nobody could be asked ({why}). Go on without it."
        await self._reply(request.request_id, Answer(allow=False, text=reason))

    async def _answer(
        self, request_id: str, decision: Decision, answer: str | None, note: str | None
    ) -> None:
        self._codes.pop(request_id, None)
        allow = decision is Decision.APPROVE
        text = (answer or note) if allow else note
        await self._reply(request_id, Answer(allow=allow, text=text))
