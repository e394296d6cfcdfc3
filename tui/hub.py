"""What the control centre needs of a hub; the real one and the simulated one both have it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from common.link import Followed
from common.wire.admin import Costs, Hold, SetHold
from common.wire.approvals import AnswerApproval, Approval
from common.wire.messages import MessageList, SendMessage
from common.wire.nodes import DrainNode, Node, OutputLine
from common.wire.tasks import SubmitTask, Task, TaskDetail, Why

if TYPE_CHECKING:
    from common.client import Credentials, HubClient


class Calls(Protocol):
    """The part of `common.client.OperatorApi` that is used here; see there."""

    async def submit(self, task: SubmitTask, *, idempotency_key: str) -> Task: ...
    async def task(self, task_id: int) -> TaskDetail: ...
    async def cancel(self, task_id: int) -> Task: ...
    async def retry(
        self, task_id: int, *, idempotency_key: str, elsewhere: bool = False
    ) -> Task: ...
    async def why(self, task_id: int) -> Why: ...
    async def revoke(self, task_id: int) -> Task: ...
    async def answer(self, code: str, answer: AnswerApproval) -> Approval: ...
    async def drain(self, name: str, drain: DrainNode) -> Node: ...
    async def resume(self, name: str) -> Node: ...
    async def reset_breaker(self, name: str) -> Node: ...
    async def hold(self, hold: SetHold) -> Hold: ...
    async def costs(self, by: str, *, days: int) -> Costs: ...
    async def say(self, message: SendMessage, *, idempotency_key: str) -> MessageList: ...
    async def resume_account(self, name: str) -> None: ...


class Hub(Protocol):
    """Where records come from and orders go."""

    @property
    def where(self) -> str:
        """Its address, or what else it is, for people."""
        ...

    @property
    def calls(self) -> Calls: ...

    def follow(self) -> AsyncGenerator[Followed]:
        """As `common.client.follow_hub`. ConfigError: no token, or a bad address."""
        ...

    def output(self, task_id: int) -> AsyncGenerator[OutputLine]:
        """As `common.client.follow_output`."""
        ...

    async def close(self) -> None: ...


class LiveHub:
    """A hub reached over HTTP. `find` is asked again at every `follow`, so that a token made in
    the meantime is found. The HTTP client is imported only then: the first picture comes before.
    """

    def __init__(self, find: Callable[[], Credentials], where: str) -> None:
        self._find = find
        self._client: HubClient | None = None
        self.where = where

    @property
    def calls(self) -> Calls:
        from common.client import OperatorApi

        return OperatorApi(self._open())

    async def follow(self) -> AsyncGenerator[Followed]:
        from common.client import follow_hub

        async with aclosing(follow_hub(self._open())) as items:
            async for item in items:
                yield item

    async def output(self, task_id: int) -> AsyncGenerator[OutputLine]:
        from common.client import follow_output

        async with aclosing(follow_output(self._open(), task_id)) as lines:
            async for line in lines:
                yield line

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    def _open(self) -> HubClient:
        from common.client import HubClient

        if self._client is None:
            credentials = self._find()
            self.where = credentials.url
            self._client = HubClient(credentials)
        return self._client
