"""What a node's agent says to the hub. Every call may be repeated without a second effect."""

from __future__ import annotations

from common.client.http import Download, HubClient
from common.wire.approvals import Approval
from common.wire.nodes import (
    Applied,
    Ask,
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatReply,
    PostOutput,
    PostResult,
    Registered,
    RegisterNode,
    StartAttempt,
)

# On top of a long poll's own waiting time, for the hub's work and the way back.
LONG_POLL_GRACE_S = 10.0


class NodeApi:
    """The calls of one node, bound to its name as its token is."""

    def __init__(self, client: HubClient, name: str) -> None:
        self.client = client
        self.name = name

    async def register(self, registration: RegisterNode) -> Registered:
        return await self.client.call(
            "POST",
            f"/v1/nodes/{self.name}/register",
            Registered,
            body=registration,
            repeatable=True,
        )

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReply:
        return await self.client.call(
            "POST",
            f"/v1/nodes/{self.name}/heartbeat",
            HeartbeatReply,
            body=heartbeat,
            repeatable=True,
        )

    async def claim(self, claim: Claim) -> Claimed:
        """Wait up to `wait_s` for work. A lease whose answer got lost is taken back by the hub
        when it is not started, so this call is never repeated by itself."""
        return await self.client.call(
            "POST",
            f"/v1/nodes/{self.name}/claim",
            Claimed,
            body=claim,
            timeout_s=claim.wait_s + LONG_POLL_GRACE_S,
        )

    async def start(self, fence: int, start: StartAttempt) -> Applied:
        """Nothing may be spawned before this returned. HubError 409 `fenced`: drop the lease."""
        return await self._attempt(fence, "start", start)

    async def output(self, fence: int, output: PostOutput) -> Applied:
        return await self._attempt(fence, "output", output)

    async def release(self, fence: int) -> Applied:
        """Give an unstarted lease back; its attempt is not counted."""
        return await self._attempt(fence, "release", {})

    async def result(self, fence: int, result: PostResult) -> Applied:
        return await self._attempt(fence, "result", result)

    async def ask(self, fence: int, question: Ask) -> Approval:
        return await self.client.call(
            "POST",
            f"/v1/attempts/{fence}/ask",
            Approval,
            body=question,
            repeatable=question.ask_id is not None,
        )

    async def approval(self, code: str, *, wait_s: float) -> Approval:
        """The approval, at the latest after `wait_s`, answered or not."""
        return await self.client.call(
            "GET",
            f"/v1/approvals/{code}",
            Approval,
            params={"wait_s": wait_s},
            timeout_s=wait_s + LONG_POLL_GRACE_S,
        )

    async def file(self, file_id: str) -> Download:
        """A file that came with a text; its id is in `TaskSpec.files`."""
        return await self.client.download(f"/v1/files/{file_id}")

    async def _attempt(self, fence: int, verb: str, body: object) -> Applied:
        return await self.client.call(
            "POST", f"/v1/attempts/{fence}/{verb}", Applied, body=body, repeatable=True
        )
