"""What every use case needs besides its transaction."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import tzinfo

from common.config import Config
from hubd.domain.handles import allowed_set, handle_in_chat, is_allowed
from hubd.domain.money import Estimate
from hubd.store.nodes import NodeCache


@dataclass(frozen=True, slots=True)
class Env:
    """`zone` decides when a day ends; None is the machine's own."""

    config: Config
    rng: random.Random
    estimate: Estimate
    zone: tzinfo | None
    allowed: frozenset[str]
    nodes: NodeCache

    @classmethod
    def of(cls, config: Config, rng: random.Random, estimate: Estimate, zone: tzinfo | None) -> Env:
        handles = allowed_set([*config.bridge.allow, *config.bridge.self_handles])
        return cls(config, rng, estimate, zone, handles, NodeCache())

    def may_command(self, sender: str) -> bool:
        return is_allowed(sender, self.allowed)

    def may_receive(self, chat: str, last_sender: str | None) -> bool:
        """Whether anything may be sent to a thread: it names an allowed handle, or an allowed
        one wrote in it."""
        party = handle_in_chat(chat)
        if party is not None:
            return party in self.allowed
        return last_sender is not None and is_allowed(last_sender, self.allowed)
