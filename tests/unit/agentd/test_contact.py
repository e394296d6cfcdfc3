"""Contact with the hub: when it is gone for good, whatever the cause, the work ends here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agentd.contact import Contact, Standing
from agentd.stops import Reason, Stop
from common.client import HubError, HubUnreachableError
from common.supervise import Backoff, Supervisor
from common.wire.facts import NodeFacts
from common.wire.nodes import (
    AnswerOrder,
    Heartbeat,
    HeartbeatReply,
    Leaving,
    Registered,
    RegisterNode,
    UsageSoFar,
)
from common.wire.usage import Usage
from tests.contract.agentd.agent_process import until

STOP_AFTER_S = 240.0


class MovedClock:
    """Stands still until it is moved. `slept_s` is what a Mac's monotonic clock does not count."""

    at_s = 0.0
    slept_s = 0.0

    def now(self) -> float:
        return self.at_s + self.slept_s

    def monotonic(self) -> float:
        return self.at_s


@dataclass
class Hub:
    """Answers until `fault` says what becomes of a call; heartbeats may have one of their own."""

    fault: Callable[[], Exception] | None = None
    deaf_to_beats: bool = False
    hangs: bool = False
    registrations: int = 0
    registered_facts: NodeFacts | None = None
    beats: list[Heartbeat] = field(default_factory=list)

    async def register(self, registration: RegisterNode) -> Registered:
        await self._suffer()
        self.registrations += 1
        self.registered_facts = registration.facts
        return Registered(
            heartbeat_s=0.01, lease_s=60.0, stop_after_s=STOP_AFTER_S, hub_version="here"
        )

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReply:
        await self._suffer()
        if self.deaf_to_beats:
            raise HubError("unknown node", hub_code="not_registered", hub_status=409)
        self.beats.append(heartbeat)
        return HeartbeatReply()

    async def _suffer(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault()


@dataclass
class Crew:
    """One running attempt."""

    stops: list[Stop] = field(default_factory=list)
    frozen: bool = False
    used: list[UsageSoFar] = field(default_factory=list)

    def usage(self) -> list[UsageSoFar]:
        return self.used

    def fences(self) -> list[int]:
        return [7]

    async def kill(self, fence: int) -> None:
        raise AssertionError("no kill was ordered")

    async def take_answer(self, order: AnswerOrder) -> None:
        raise AssertionError("no answer was given")

    def stop_all(self, stop: Stop, *, hurry: bool = False) -> None:
        self.stops.append(stop)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False


@dataclass
class Node:
    """A supervised contact and what it has to do with."""

    hub: Hub = field(default_factory=Hub)
    crew: Crew = field(default_factory=Crew)
    clock: MovedClock = field(default_factory=MovedClock)
    refuse: Callable[[], str | None] = lambda: None
    facts: NodeFacts = NodeFacts(system="here")  # noqa: RUF009 - it is immutable
    contact: Contact = field(init=False)
    standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        self.standing = Standing(news=asyncio.Event(), drained=asyncio.Event())
        self.contact = Contact(
            self.hub,
            self.crew,
            self.standing,
            self.clock,
            registration=RegisterNode(slots=1),
            facts=lambda: self.facts,
            check=lambda: self.refuse(),
            self_test=_no_test,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        supervisor = Supervisor(backoff=lambda: Backoff(first_s=0.01, cap_s=0.01))
        loops = {"heartbeat": self.contact.run, "contact": self.contact.watch}
        task = asyncio.create_task(supervisor.run(loops), name="contact")
        try:
            await until(lambda: self.hub.beats)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _no_test() -> None:
    raise AssertionError("no test was asked for")


def _failing() -> str | None:
    raise RuntimeError("a fault in the check")


FAULTS: dict[str, Callable[[Node], None]] = {
    "no answer": lambda node: setattr(node.hub, "fault", lambda: HubUnreachableError("away")),
    "502": lambda node: setattr(node.hub, "fault", lambda: _error(502)),
    "404": lambda node: setattr(node.hub, "fault", lambda: _error(404)),
    "known, not heard": lambda node: setattr(node.hub, "deaf_to_beats", True),
    "a call that hangs": lambda node: setattr(node.hub, "hangs", True),
    "a fault of its own": lambda node: setattr(node, "refuse", _failing),
}


def _error(status: int) -> HubError:
    return HubError("no", hub_code="x", hub_status=status)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_work_ends_when_the_hub_was_silent_too_long_whatever_the_cause(
    fault: Callable[[Node], None],
) -> None:
    node = Node()
    async with node.running():
        fault(node)
        beats = len(node.hub.beats)
        node.clock.at_s = STOP_AFTER_S + 1
        await until(lambda: node.crew.stops)
        assert len(node.hub.beats) <= beats + 1
    assert node.crew.stops[0] == Stop(
        Reason.NO_CONTACT, f"no contact with the hub for {STOP_AFTER_S + 1:.0f} s"
    )
    assert not node.contact.in_touch.is_set()


async def test_a_night_of_sleep_counts_once_the_hub_does_not_answer() -> None:
    node = Node()
    async with node.running():
        node.clock.slept_s = 8 * 3600.0
        beats = len(node.hub.beats)
        await until(lambda: len(node.hub.beats) > beats + 1)
        assert node.crew.stops == []
        node.clock.slept_s *= 2
        node.hub.fault = lambda: HubUnreachableError("away")
        await until(lambda: node.crew.stops)
    assert node.crew.stops[0].reason is Reason.NO_CONTACT


async def test_work_ends_at_once_where_another_agent_has_taken_the_name() -> None:
    node = Node()
    async with node.running():
        node.hub.fault = lambda: HubError("taken", hub_code="superseded", hub_status=409)
        await until(lambda: node.crew.stops)
    assert node.crew.stops[0] == Stop(Reason.NO_CONTACT, "taken")


async def test_work_goes_on_while_the_node_registers_again_in_time() -> None:
    node = Node()
    async with node.running():
        node.clock.at_s = STOP_AFTER_S - 1
        node.hub.deaf_to_beats = True
        await until(lambda: node.hub.registrations > 1)
        node.hub.deaf_to_beats = False
        beats = len(node.hub.beats)
        await until(lambda: len(node.hub.beats) > beats + 1)
    assert node.crew.stops == []


async def test_a_reason_longer_than_the_wire_allows_is_cut() -> None:
    node = Node(refuse=lambda: "x" * 500)
    async with node.running():
        await until(lambda: len(node.hub.beats) > 1)
    assert node.hub.beats[0].not_accepting_reason == "x" * 200


def spent(usd: float) -> UsageSoFar:
    return UsageSoFar(fence=7, usage=[Usage(model="m", cost_usd=usd)])


async def test_heartbeats_carry_what_running_work_used_and_again_after_a_registration() -> None:
    """Running tasks showed $0.00 for minutes while they spent."""
    node = Node()

    def told() -> list[UsageSoFar]:
        return [item for beat in node.hub.beats for item in beat.usage]

    async with node.running():
        node.crew.used = [spent(0.5)]
        await until(lambda: told() == [spent(0.5)])
        beats = len(node.hub.beats)
        await until(lambda: len(node.hub.beats) > beats + 2)
        assert told() == [spent(0.5)], "what did not change was sent again"
        node.crew.used = [spent(0.7)]
        await until(lambda: told() == [spent(0.5), spent(0.7)])
        node.hub.deaf_to_beats = True
        await until(lambda: node.hub.registrations > 1)
        node.hub.deaf_to_beats = False
        await until(lambda: told()[2:] == [spent(0.7)])


async def test_what_did_not_reach_the_hub_is_sent_again() -> None:
    node = Node()
    async with node.running():
        node.hub.fault = lambda: HubUnreachableError("away")
        node.crew.used = [spent(0.5)]
        await until(lambda: not node.contact.in_touch.is_set())
        node.hub.fault = None
        await until(lambda: any(beat.usage == [spent(0.5)] for beat in node.hub.beats))


async def test_facts_go_with_the_registration_and_again_only_once_they_changed() -> None:
    node = Node()
    async with node.running():
        await until(lambda: len(node.hub.beats) > 2)
        assert node.hub.registered_facts == NodeFacts(system="here")
        assert all(beat.facts is None for beat in node.hub.beats)
        node.facts = changed = NodeFacts(system="there")
        await until(lambda: changed in [beat.facts for beat in node.hub.beats[:-1]])
        assert [beat.facts for beat in node.hub.beats].count(changed) == 1


async def test_facts_that_a_lost_heartbeat_carried_are_said_again() -> None:
    node = Node()
    async with node.running():
        node.hub.fault = lambda: HubUnreachableError("away")
        node.facts = changed = NodeFacts(system="there")
        await until(lambda: not node.contact.in_touch.is_set())
        node.hub.fault = None
        await until(lambda: changed in [beat.facts for beat in node.hub.beats])


async def test_work_stands_still_after_a_long_sleep_until_the_hub_was_asked() -> None:
    """Another node may be at it by now: nothing of it may run a second time meanwhile."""
    node = Node()
    async with node.running():
        node.hub.hangs = True
        node.clock.slept_s = 8 * 3600.0
        await until(lambda: node.crew.frozen)
        assert node.crew.stops == []


async def test_a_node_says_that_it_goes_to_sleep_and_that_it_stops() -> None:
    node = Node()
    async with node.running():
        node.standing.sleep(True)
        await until(lambda: node.hub.beats[-1].leaving is Leaving.SLEEPING)
        assert not node.hub.beats[-1].accepting
        node.standing.sleep(False)
        await until(lambda: node.hub.beats[-1].leaving is None)
        node.standing.drain()
        await until(lambda: node.hub.beats[-1].leaving is Leaving.STOPPING)
