"""Nodes: registration, heartbeats with their orders, drain and breaker resets."""

from __future__ import annotations

from common.wire.nodes import (
    Account,
    DrainNode,
    Heartbeat,
    HeartbeatReply,
    NodeList,
    NodeStatus,
    Registered,
    RegisterNode,
)
from hubd.domain.actors import Actor


class Nodes:
    """Every method raises NotFoundError for a node that never registered, but `register`."""

    async def register(self, name: str, request: RegisterNode, *, by: Actor) -> Registered:
        """Raises ForbiddenError when a node token names another node."""
        raise NotImplementedError

    async def heartbeat(self, name: str, request: Heartbeat, *, by: Actor) -> HeartbeatReply:
        """Renew the leases of the attempts listed; answered from memory on a full disk."""
        raise NotImplementedError

    async def list(self) -> NodeList:
        raise NotImplementedError

    async def get(self, name: str) -> NodeStatus:
        raise NotImplementedError

    async def drain(self, name: str, request: DrainNode, *, by: Actor) -> NodeStatus:
        """Let it finish and take no more; `timeout_s` resumes it by itself."""
        raise NotImplementedError

    async def resume(self, name: str, *, by: Actor) -> NodeStatus:
        raise NotImplementedError

    async def reset_breaker(self, name: str, *, by: Actor) -> NodeStatus:
        """Close the breaker and forget its openings."""
        raise NotImplementedError

    async def resume_account(self, account: str, *, by: Actor) -> Account:
        """End an account's pause, or its block after somebody logged in. Raises NotFoundError."""
        raise NotImplementedError
