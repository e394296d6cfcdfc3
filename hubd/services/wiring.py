"""All services of one hub, built in one place."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from common.clock import Clock
from common.config import Config
from common.supervise import Loop
from hubd.services.approvals import Approvals
from hubd.services.attempts import Attempts
from hubd.services.control import Control
from hubd.services.conversation import Bridges, Conversation, Outbox
from hubd.services.feed import Feed
from hubd.services.files import Files
from hubd.services.money import Money
from hubd.services.nodes import Nodes
from hubd.services.reaper import Reaper
from hubd.services.tasks import Tasks
from hubd.services.tokens import Tokens
from hubd.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes call. `loops` are for `common.supervise`: dispatcher and reaper."""

    tasks: Tasks
    attempts: Attempts
    nodes: Nodes
    approvals: Approvals
    conversation: Conversation
    outbox: Outbox
    bridges: Bridges
    money: Money
    control: Control
    feed: Feed
    files: Files
    tokens: Tokens
    reaper: Reaper
    loops: Mapping[str, Loop]


def build_services(
    database: Database, config: Config, *, clock: Clock, rng: random.Random
) -> Services:
    """`rng` jitters and draws approval codes; token secrets come from `secrets`."""
    raise NotImplementedError
