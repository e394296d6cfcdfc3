"""Which agent speaks for a node: one process at a time, the one that registered last.

An agent takes a new instance id at every start. So an id that another has replaced comes back
only where two machines use one name: a copied disk, or a token carried over. The hub would give
both the same work. It remembers replaced ids while it runs; the newer agent keeps the name for as
long as it reports.
"""

from __future__ import annotations

from hubd.domain.dispatch import is_fresh
from hubd.domain.records import NodeRecord
from hubd.errors import ConflictError, SupersededError

REMEMBERED = 64
"""Replaced ids per node; an agent that is started again and again needs no more."""


class Instances:
    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._replaced: dict[str, list[str]] = {}

    def admit(self, node: NodeRecord | None, instance_id: str | None, now: float) -> None:
        """Let an agent register; raises SupersededError for one that was replaced."""
        if node is None or instance_id in (None, node.instance_id):
            return
        age_s = None if node.heartbeat_at is None else now - node.heartbeat_at
        replaced = self._replaced.setdefault(node.name, [])
        if instance_id in replaced and is_fresh(age_s, self._stale_after_s):
            raise SupersededError(
                f"another agent has registered as {node.name} since, and reports: give one of the "
                "two machines another name (agent.name) and a token for it (mesh invite)"
            )
        if node.instance_id is not None:
            del replaced[: -REMEMBERED + 1]
            replaced.append(node.instance_id)


def refuse_other(node: NodeRecord, instance_id: str | None) -> None:
    """Raises ConflictError for an agent that is not, or no longer, the registered one."""
    if None not in (instance_id, node.instance_id) and instance_id != node.instance_id:
        raise ConflictError(f"another agent has registered as {node.name}: register again")
