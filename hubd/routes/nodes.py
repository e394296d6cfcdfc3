"""Nodes: registration, heartbeat and claim by the node; drain and resets by the operator."""

from __future__ import annotations

from common.wire.nodes import (
    Claim,
    Claimed,
    DrainNode,
    Heartbeat,
    HeartbeatReply,
    NodeList,
    NodeStatus,
    Registered,
    RegisterNode,
)
from hubd.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SupersededError,
)
from hubd.routes.api import Api, Call, Nothing
from hubd.services.attempts import Attempts
from hubd.services.nodes import Nodes


def add(api: Api, nodes: Nodes, attempts: Attempts) -> None:
    """Register the routes."""
    _add_for_nodes(api, nodes, attempts)
    _add_for_operators(api, nodes)


def _add_for_nodes(api: Api, nodes: Nodes, attempts: Attempts) -> None:
    @api.route(
        "POST /v1/nodes/<name>/register",
        body=RegisterNode,
        answers={200: Registered},
        errors=(ForbiddenError, InvalidError, SupersededError),
    )
    async def register_node(call: Call[RegisterNode, Nothing], name: str) -> Registered:
        """Introduce a node and learn the hub's terms."""
        return await nodes.register(name, call.body, by=call.actor)

    @api.route(
        "POST /v1/nodes/<name>/heartbeat",
        body=Heartbeat,
        answers={200: HeartbeatReply},
        errors=(NotFoundError, ForbiddenError, ConflictError),
    )
    async def heartbeat(call: Call[Heartbeat, Nothing], name: str) -> HeartbeatReply:
        """Renew the leases of the attempts listed; the answer carries orders."""
        return await nodes.heartbeat(name, call.body, by=call.actor)

    @api.route(
        "POST /v1/nodes/<name>/claim",
        body=Claim,
        answers={200: Claimed},
        errors=(NotFoundError, ForbiddenError, ConflictError),
        waits=True,
    )
    async def claim_work(call: Call[Claim, Nothing], name: str) -> Claimed:
        """Wait up to `wait_s` for work."""
        return await attempts.claim(name, call.body)


def _add_for_operators(api: Api, nodes: Nodes) -> None:
    @api.route("GET /v1/nodes", answers={200: NodeList})
    async def list_nodes(call: Call[Nothing, Nothing]) -> NodeList:
        """List the nodes with what they do now."""
        return await nodes.list()

    @api.route(
        "POST /v1/nodes/<name>/drain",
        body=DrainNode,
        answers={200: NodeStatus},
        errors=(NotFoundError,),
    )
    async def drain_node(call: Call[DrainNode, Nothing], name: str) -> NodeStatus:
        """Let a node finish its work and take no more; `timeout_s` resumes it by itself."""
        return await nodes.drain(name, call.body, by=call.actor)

    @api.route("POST /v1/nodes/<name>/resume", answers={200: NodeStatus}, errors=(NotFoundError,))
    async def resume_node(call: Call[Nothing, Nothing], name: str) -> NodeStatus:
        """End a drain."""
        return await nodes.resume(name, by=call.actor)

    @api.route(
        "POST /v1/nodes/<name>/reset-breaker", answers={200: NodeStatus}, errors=(NotFoundError,)
    )
    async def reset_breaker(call: Call[Nothing, Nothing], name: str) -> NodeStatus:
        """Close a node's circuit breaker and forget its openings."""
        return await nodes.reset_breaker(name, by=call.actor)
