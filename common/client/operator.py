"""What a person's program may ask of the hub: control centre, command line, any client."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from common.client.http import HubClient
from common.wire.admin import Costs, Hold, IssuedToken, NewToken, SetHold, Token, TokenList
from common.wire.approvals import AnswerApproval, Approval, ApprovalList
from common.wire.events import Snapshot
from common.wire.messages import MessageList, SendMessage
from common.wire.nodes import DrainNode, Node, NodeList
from common.wire.tasks import RetryTask, SubmitTask, Task, TaskDetail, TaskPage, Why


class OperatorApi:
    """The operator's and viewer's calls; a viewer is answered 403 by those that change things."""

    def __init__(self, client: HubClient) -> None:
        self.client = client

    async def submit(self, task: SubmitTask, *, idempotency_key: str) -> Task:
        """The same key with the same body gives the same task, however often it is sent."""
        return await self.client.call(
            "POST", "/v1/tasks", Task, body=task, idempotency_key=idempotency_key
        )

    async def tasks(
        self,
        *,
        state: str | None = None,
        node: str | None = None,
        specialist: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> TaskPage:
        """`state`: one or several joined by commas, or `waiting`, `live`, `finished`."""
        params = {
            "state": state,
            "node": node,
            "specialist": specialist,
            "q": q,
            "limit": limit,
            "before": before,
        }
        return await self.client.call("GET", "/v1/tasks", TaskPage, params=params)

    async def task(self, task_id: int) -> TaskDetail:
        return await self.client.call("GET", f"/v1/tasks/{task_id}", TaskDetail)

    async def cancel(self, task_id: int) -> Task:
        return await self.client.call("POST", f"/v1/tasks/{task_id}/cancel", Task, repeatable=True)

    async def retry(self, task_id: int, *, idempotency_key: str, elsewhere: bool = False) -> Task:
        """A new task with `retry_of`, or the task itself when it needed attention or, `elsewhere`,
        is not over."""
        return await self.client.call(
            "POST",
            f"/v1/tasks/{task_id}/retry",
            Task,
            body=RetryTask(elsewhere=elsewhere),
            idempotency_key=idempotency_key,
        )

    async def revoke(self, task_id: int) -> Task:
        """Take back every yes given for the rest of the task; HubError 409 when there is none."""
        return await self.client.call("POST", f"/v1/tasks/{task_id}/revoke", Task)

    async def why(self, task_id: int) -> Why:
        return await self.client.call("GET", f"/v1/tasks/{task_id}/why", Why)

    async def approvals(self, *, state: str | None = None) -> ApprovalList:
        params = {"state": state}
        return await self.client.call("GET", "/v1/approvals", ApprovalList, params=params)

    async def answer(self, code: str, answer: AnswerApproval) -> Approval:
        """HubError 409 says who answered before, and when."""
        return await self.client.call("POST", f"/v1/approvals/{_part(code)}", Approval, body=answer)

    async def nodes(self) -> NodeList:
        return await self.client.call("GET", "/v1/nodes", NodeList)

    async def drain(self, name: str, drain: DrainNode) -> Node:
        return await self.client.call(
            "POST", f"/v1/nodes/{_part(name)}/drain", Node, body=drain, repeatable=True
        )

    async def resume(self, name: str) -> Node:
        return await self.client.call(
            "POST", f"/v1/nodes/{_part(name)}/resume", Node, repeatable=True
        )

    async def reset_breaker(self, name: str) -> Node:
        return await self.client.call(
            "POST", f"/v1/nodes/{_part(name)}/reset-breaker", Node, repeatable=True
        )

    async def hold(self, hold: SetHold) -> Hold:
        return await self.client.call("POST", "/v1/hold", Hold, body=hold, repeatable=True)

    async def costs(
        self,
        by: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        days: int | None = None,
    ) -> Costs:
        """`by`: task, day, node, specialist, model or conversation. `days`: the last so many of
        the hub's calendar, today included."""
        params = {
            "by": by,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "days": days,
        }
        return await self.client.call("GET", "/v1/costs", Costs, params=params)

    async def snapshot(self) -> Snapshot:
        return await self.client.call("GET", "/v1/snapshot", Snapshot)

    async def conversation(self, *, limit: int | None = None) -> MessageList:
        params = {"limit": limit}
        return await self.client.call("GET", "/v1/conversation", MessageList, params=params)

    async def say(self, message: SendMessage, *, idempotency_key: str) -> MessageList:
        """Type a line of the text grammar; answers the line and the replies it caused."""
        return await self.client.call(
            "POST", "/v1/conversation", MessageList, body=message, idempotency_key=idempotency_key
        )

    async def resume_account(self, name: str) -> None:
        """Take a paused or blocked account back into service."""
        await self.client.call("POST", f"/v1/accounts/{_part(name)}/resume", dict, repeatable=True)

    async def new_token(self, token: NewToken) -> IssuedToken:
        return await self.client.call("POST", "/v1/tokens", IssuedToken, body=token)

    async def tokens(self) -> TokenList:
        return await self.client.call("GET", "/v1/tokens", TokenList)

    async def revoke_token(self, token_id: str) -> Token:
        return await self.client.call(
            "DELETE", f"/v1/tokens/{_part(token_id)}", Token, repeatable=True
        )


def _part(text: str) -> str:
    """One step of a path, whatever a person typed: it may lead nowhere else."""
    return quote(text, safe="") if text.strip(".") else "-"
