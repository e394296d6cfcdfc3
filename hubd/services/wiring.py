"""All services of one hub, built in one place."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from common.clock import Clock
from common.config import Config
from common.config.sense import check_sense
from common.supervise import Loop
from hubd.domain.money import Estimate
from hubd.domain.prices import estimate_usd
from hubd.services.approvals import Approvals
from hubd.services.attempts import Attempts
from hubd.services.control import Control
from hubd.services.conversation import Bridges, Conversation, Outbox
from hubd.services.dispatcher import Dispatcher
from hubd.services.env import Env
from hubd.services.feed import Feed
from hubd.services.files import Files
from hubd.services.invitations import Invitations
from hubd.services.money import Money
from hubd.services.nodes import LeaseBook, Nodes
from hubd.services.output import OutputFeed
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
    output: OutputFeed
    files: Files
    tokens: Tokens
    invitations: Invitations
    dispatcher: Dispatcher
    reaper: Reaper
    loops: Mapping[str, Loop]

    def close_streams(self) -> None:
        """End every stream; the first step of a clean shutdown."""
        self.feed.close()
        self.output.close()


def build_services(
    database: Database,
    config: Config,
    *,
    clock: Clock,
    rng: random.Random,
    estimate: Estimate = estimate_usd,
    zone: tzinfo | None = None,
) -> Services:
    """`rng` jitters and draws approval codes; token secrets come from `secrets`. `zone` decides
    when a day ends, None is the machine's own. Raises ConfigError for a configuration
    that makes no sense."""
    check_sense(config)
    env = Env.of(config, rng, estimate, zone)
    book = LeaseBook()
    output = OutputFeed(database)
    dispatcher = Dispatcher(database, env)
    reaper = Reaper(database, env, book)
    return Services(
        tasks=Tasks(database, env, output),
        attempts=Attempts(database, env, dispatcher, output),
        nodes=Nodes(database, env, book),
        approvals=Approvals(database, env),
        conversation=Conversation(database, env),
        outbox=Outbox(database, env),
        bridges=Bridges(database),
        money=Money(database, env),
        control=Control(database, env, clock.now()),
        feed=Feed(database),
        output=output,
        files=Files(database),
        tokens=Tokens(database),
        invitations=Invitations(database, config.hub.stale_after_s),
        dispatcher=dispatcher,
        reaper=reaper,
        loops={"dispatcher": dispatcher.run, "reaper": reaper.run},
    )
