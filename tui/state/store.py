"""The one place that knows what the hub said: folded records, counts kept beside them, and which
records changed since the last look. Synchronous and pure; times are passed in."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from common.asking import question_of
from common.clock import to_epoch
from common.fold import FoldedState
from common.link import Followed, LinkLost, LinkUp
from common.wire.admin import Hold, Spend
from common.wire.approvals import Approval, ApprovalState
from common.wire.events import Entity, Event, HubInfo, Pulse, Snapshot
from common.wire.messages import Bridge
from common.wire.nodes import Node
from common.wire.tasks import LIVE_STATES, Task, TaskState
from tui.state.link import Link, LinkState
from tui.state.tail import Line, event_line, history

TAIL_KEPT = 2000
SLEPT_AFTER_S = 8.0
"""A pause between two ticks that only a sleeping machine makes."""
CHECKED_AFTER_S = 20.0
"""Longer than the feed's silence limit: a link that is still up by then is alive."""
SPEND_KEPT_S = 3600.0


class Ref(NamedTuple):
    """What a line is about: an entity's kind and key."""

    kind: str
    key: str = ""


EVERYTHING = Ref("everything")
LINK = Ref("link")
TAIL = Ref("tail")
ORDERS = Ref("orders")


@dataclass(slots=True)
class Store:
    """`skew_s` is what to add to this machine's clock to get the hub's."""

    folded: FoldedState
    link: Link = field(default_factory=Link)
    hub: HubInfo | None = None
    heard_at: float | None = None
    skew_s: float = 0.0
    tail: deque[Line] = field(default_factory=lambda: deque(maxlen=TAIL_KEPT))
    tail_count: int = 0
    counts: Counter[TaskState] = field(default_factory=Counter)
    live: dict[str, set[int]] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)
    spent: deque[tuple[float, float]] = field(default_factory=deque)
    changed: set[Ref] = field(default_factory=set)
    ticked_at: float | None = None

    @classmethod
    def empty(cls) -> Store:
        """Before the first snapshot; `loaded` is False."""
        return cls(FoldedState("", Hold(), Spend(day=""), Bridge()))

    @property
    def loaded(self) -> bool:
        return self.hub is not None

    @property
    def stale_after_s(self) -> float:
        return self.hub.stale_after_s if self.hub else 25.0

    def now(self, local: float) -> float:
        """The hub's time; while the link is not live, that of the newest data, so that nothing
        ages on a guess."""
        if not self.link.live and self.heard_at is not None:
            local = self.heard_at
        return local + self.skew_s

    def question_about(self, task: Task) -> Approval | None:
        """The pending approval a task waits for, or the first one its run has asked meanwhile."""
        asked = [self.folded.approvals[number] for number in sorted(self.pending)]
        about = [approval for approval in asked if approval.task_id == task.id]
        return next((a for a in about if a.code == task.approval_code), next(iter(about), None))

    def asks(self, task: Task) -> bool:
        """Whether its running attempt waits for an answer."""
        if task.state is not TaskState.RUNNING:
            return False
        pending = (self.folded.approvals[number] for number in self.pending)
        return question_of(task, pending) is not None

    def drain(self) -> frozenset[Ref]:
        """What changed since the last call."""
        changed = frozenset(self.changed)
        self.changed.clear()
        return changed

    # -- what the feed says ---------------------------------------------------------------

    def take(self, item: Followed, local: float) -> None:
        """Whatever the feed yields; `local` is this machine's clock."""
        match item:
            case Event():
                self.apply(item, local)
            case Pulse():
                self.beat(item, local)
            case Snapshot():
                self.load(item, local)
            case LinkUp():
                self.link_up(local)
            case LinkLost():
                self.link_lost(item.reason, item.retry_in_s, local)

    def load(self, snapshot: Snapshot, local: float) -> None:
        """Begin anew from a snapshot."""
        restarted = self.loaded
        self.folded = FoldedState.of(snapshot)
        self.hub = snapshot.hub
        self.skew_s = to_epoch(snapshot.at) - local
        self.heard_at = local
        self._count_all()
        self.spent.clear()
        self.spent.append((to_epoch(snapshot.at), snapshot.spend.cost_usd))
        if restarted:
            self._append(Line.gap(snapshot.at))
        else:
            for line in history(snapshot):
                self._append(line)
        self.changed.add(EVERYTHING)

    def apply(self, event: Event, local: float) -> None:
        """Take one event in."""
        self._hear(local)
        before = self.folded.tasks.get(int(event.key)) if event.entity is Entity.TASK else None
        self.folded.apply(event)
        match event.entity:
            case Entity.TASK:
                self._recount(before, self.folded.tasks.get(int(event.key)))
            case Entity.APPROVAL:
                self._note_approval(int(event.key))
            case Entity.SPEND:
                self._note_spend(to_epoch(event.at))
            case _:
                pass
        self._append(event_line(event, self.folded))
        self.changed.add(Ref(event.entity.value, event.key))

    def beat(self, pulse: Pulse, local: float) -> None:
        """A heartbeat; it also tells what the hub's clock says."""
        self._hear(local)
        self.skew_s = max(self.skew_s - 0.05, to_epoch(pulse.at) - local)
        self.folded.beat(pulse)
        self.changed.add(Ref(Entity.NODE.value, pulse.node))

    def link_started(self, local: float) -> None:
        self.link = Link(since=local)

    def link_up(self, local: float) -> None:
        self._hear(local)
        self._link(Link(LinkState.LIVE, since=local))

    def link_lost(self, reason: str, retry_in_s: float, local: float) -> None:
        since = self.link.since if self.link.state is LinkState.LOST else local
        self._link(Link(LinkState.LOST, since, reason, local + retry_in_s))

    def refuse(self, reason: str, local: float) -> None:
        """The hub, or this machine's configuration, says no."""
        self._link(Link(LinkState.REFUSED, local, reason))

    def tick(self, local: float) -> None:
        """A second went by; a long pause means that the machine slept."""
        last, self.ticked_at = self.ticked_at, local
        if self.link.live and last is not None and local - last > SLEPT_AFTER_S:
            self._link(Link(LinkState.CHECKING, since=local))
        elif self.link.state is LinkState.CHECKING and local - self.link.since > CHECKED_AFTER_S:
            self._link(Link(LinkState.LIVE, since=local))
        self.changed.add(LINK)

    # -- counts ---------------------------------------------------------------------------

    def _hear(self, local: float) -> None:
        self.heard_at = local
        if self.link.state is LinkState.CHECKING:
            self._link(Link(LinkState.LIVE, since=local))

    def _link(self, link: Link) -> None:
        if replace(link, since=0.0) != replace(self.link, since=0.0):
            self.changed.add(EVERYTHING if link.state is not self.link.state else LINK)
            self.link = link

    def _append(self, line: Line) -> None:
        self.tail.append(line)
        self.tail_count += 1
        self.changed.add(TAIL)

    def _count_all(self) -> None:
        self.counts.clear()
        self.live.clear()
        for task in self.folded.tasks.values():
            self._recount(None, task)
        self.pending = {
            approval.id
            for approval in self.folded.approvals.values()
            if approval.state is ApprovalState.PENDING
        }

    def _recount(self, before: Task | None, after: Task | None) -> None:
        if before is not None:
            self.counts[before.state] -= 1
            if before.state in LIVE_STATES and before.node:
                self.live.get(before.node, set()).discard(before.id)
        if after is not None:
            self.counts[after.state] += 1
            if after.state in LIVE_STATES and after.node:
                self.live.setdefault(after.node, set()).add(after.id)

    def _note_approval(self, approval_id: int) -> None:
        approval = self.folded.approvals.get(approval_id)
        if approval is not None and approval.task_id is not None:
            # What its task's line says depends on whether it waits for an answer.
            self.changed.add(Ref(Entity.TASK.value, str(approval.task_id)))
        if approval is not None and approval.state is ApprovalState.PENDING:
            self.pending.add(approval_id)
        else:
            self.pending.discard(approval_id)

    def _note_spend(self, at: float) -> None:
        cost = self.folded.spend.cost_usd
        if self.spent and cost < self.spent[-1][1]:
            self.spent.clear()  # a new day
        self.spent.append((at, cost))
        while len(self.spent) > 2 and at - self.spent[1][0] > SPEND_KEPT_S:
            self.spent.popleft()

    def nodes(self) -> list[Node]:
        return sorted(self.folded.nodes.values(), key=lambda node: node.name.lower())
