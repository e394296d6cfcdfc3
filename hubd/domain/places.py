"""Where interrupted work belongs and how long it waits to come back there: pure rules.

Session, folder and half-done work are on one node, so a task that runs again waits for that node.
Elsewhere it may start only when nothing can run there any more: the node ended its work, said so,
or was silent for so long that it has ended it.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from common.config.schema import HubConfig
from common.config.sense import KILL_GRACE_S
from common.wire.nodes import Leaving
from common.wire.tasks import Outcome


def keeps_place(outcome: Outcome, *, ran: bool, progressed: bool) -> bool:
    """Whether a task that is to run again waits for its node. `ran`: something was spawned;
    `progressed`: a model answered at least once. What failed before that lost nothing, and another
    node may do better."""
    match outcome:
        case Outcome.NODE_FAULT | Outcome.NEEDS_LOGIN:
            return progressed
        case _:
            return ran


def wait_until(start: float, leaving: Leaving | None, hub: HubConfig) -> float:
    """How long a task that can run from `start` on waits for its node."""
    sleeps = leaving is Leaving.SLEEPING
    return start + (hub.wait_for_sleeper_s if sleeps else hub.wait_for_node_s)


def lost_at(
    unknown_since: float, leaving: Leaving | None, hub: HubConfig, *, moved: bool, stopped: bool
) -> float:
    """When a silent attempt is given up. `moved`: a person wants it elsewhere as soon as it is
    safe; `stopped`: they want its end, so that nothing waits for a sleeper."""
    if moved:
        return min(unknown_since + hub.lost_after_s, surely_stopped_at(unknown_since, hub))
    if leaving is Leaving.SLEEPING and not stopped:
        return unknown_since + max(hub.lost_after_s, hub.wait_for_sleeper_s)
    return unknown_since + hub.lost_after_s


def surely_stopped_at(unknown_since: float, hub: HubConfig) -> float:
    """A node ends its work `stop_after_s` after its last contact. That was at least a lease before
    `unknown_since`: the lease is the margin for answers on their way."""
    return unknown_since + hub.stop_after_s + KILL_GRACE_S


def clock_time(at: float, now: float, zone: tzinfo | None) -> str:
    """`14:20`, and with its day when that is not today's."""
    when, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    return when.strftime("%H:%M" if when.date() == today.date() else "%a %H:%M")


def waits_words(node: str, absence: str | None, until: str | None, then: str) -> str:
    """`waits for rex (asleep) until 14:20, then starts elsewhere`."""
    state = f" ({absence})" if absence else ""
    return f"waits for {node}{state}" + (f" until {until}, then {then}" if until else "")
