"""Which node takes a task, and why another does not: one decision that both use.

Tasks that any node would judge alike share a *lane* (the node they are pinned to, the specialist,
the class of model and the labels they need), so a dispatch pass judges nodes once per lane and not
once per task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from common.wire.tasks import Priority
from hubd.domain import accounts, breaker
from hubd.domain.records import AccountRecord, BreakerRecord, NodeRecord

RANK = {Priority.LOW: 0, Priority.NORMAL: 1, Priority.HIGH: 2}

_ANY = "-"
_OF = "~"
"""Before the class of model in a lane's key; keys of older hubs have none."""
_NOT = "!"
"""Before a node's name in a lane's key: any but this one."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What a task asks of a node. `key` is stored with the task and gives the lane back."""

    pinned_node: str | None = None
    specialist: str | None = None
    requires: tuple[str, ...] = ()
    project: str | None = None
    model: str | None = None
    """The class of model it names; None leaves it to the specialist or the node."""
    avoid_node: str | None = None
    """Set only without `pinned_node`."""

    @property
    def key(self) -> str:
        labels = ",".join(sorted(set(self.requires))) + (f"{_OF}{self.model}" if self.model else "")
        node = self.pinned_node or (f"{_NOT}{self.avoid_node}" if self.avoid_node else _ANY)
        # The project comes last because it alone may hold a slash.
        return "/".join((node, self.specialist or _ANY, labels, self.project or ""))

    @classmethod
    def parse(cls, key: str) -> Lane:
        node, specialist, labels, project = key.split("/", 3)
        avoid = node.removeprefix(_NOT) if node.startswith(_NOT) else None
        labels, _, model = labels.partition(_OF)
        return cls(
            None if node == _ANY or avoid is not None else node,
            None if specialist == _ANY else specialist,
            tuple(labels.split(",")) if labels else (),
            project or None,
            model or None,
            avoid,
        )


class Refusal(StrEnum):
    """Why a node does not take a task, in the order in which it is told."""

    PINNED_ELSEWHERE = "pinned_elsewhere"
    MOVED_AWAY = "moved_away"
    NO_SPECIALIST = "no_specialist"
    NO_LABEL = "no_label"
    NO_PROJECT = "no_project"
    AWAY = "away"
    DRAINING = "draining"
    NOT_ACCEPTING = "not_accepting"
    BREAKER = "breaker"
    ACCOUNT = "account"
    NO_SLOT = "no_slot"


@dataclass(slots=True)
class NodeView:
    """A node as the dispatcher sees it; `busy` and `offered` move while a pass hands out work.

    `breaker` None is one that never tripped. `heartbeat_at` is newer than the record's own.
    `accounts` are the rows of all logins, by name; the views of one pass share them.
    `offered` is how many leases its open claim still takes; None when it is not asking now.
    """

    node: NodeRecord
    heartbeat_at: float | None
    breaker: BreakerRecord | None
    busy: int
    offered: int | None = None
    accounts: dict[str, AccountRecord] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return max(self.node.slots - self.busy, 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one node says to one lane; `refusal` None means that it would take a task now."""

    node: str
    refusal: Refusal | None
    text: str
    until: float | None = None

    @property
    def ok(self) -> bool:
        return self.refusal is None


def is_fresh(age_s: float | None, stale_after_s: float) -> bool:
    """Whether a heartbeat of that age counts; one from the future says as little as an old one."""
    return age_s is not None and abs(age_s) < stale_after_s


def judge(view: NodeView, lane: Lane, now: float, stale_after_s: float) -> Verdict:
    """The dispatcher's decision about one node."""
    node = view.node
    mismatch = _mismatch(node, lane)
    if mismatch is not None:
        return mismatch
    age_s = None if view.heartbeat_at is None else now - view.heartbeat_at
    if not is_fresh(age_s, stale_after_s):
        seen = "never reported" if age_s is None else f"silent for {round(abs(age_s))} s"
        return Verdict(node.name, Refusal.AWAY, seen)
    if node.draining:
        note = f": {node.drain_note}" if node.drain_note else ""
        return Verdict(node.name, Refusal.DRAINING, f"draining{note}", node.drain_until)
    if not node.accepting:
        reason = node.not_accepting_reason or "takes no work now"
        return Verdict(node.name, Refusal.NOT_ACCEPTING, reason)
    if view.breaker is not None and not breaker.admits(view.breaker, now):
        return Verdict(node.name, Refusal.BREAKER, _breaker_text(view.breaker), view.breaker.until)
    model = lane.model or node.model_of(lane.specialist)
    permit = accounts.permits(view.accounts, node.account_name, node.name, model, now)
    if not permit.ok:
        return Verdict(node.name, Refusal.ACCOUNT, permit.reason, permit.until)
    if view.free == 0:
        return Verdict(node.name, Refusal.NO_SLOT, f"all {node.slots} slots busy")
    return Verdict(node.name, None, f"{view.free} of {node.slots} slots free")


def _mismatch(node: NodeRecord, lane: Lane) -> Verdict | None:
    if lane.pinned_node is not None and lane.pinned_node != node.name:
        return Verdict(
            node.name, Refusal.PINNED_ELSEWHERE, f"the task is for {lane.pinned_node} only"
        )
    if lane.avoid_node == node.name:
        return Verdict(node.name, Refusal.MOVED_AWAY, "the task was moved away from it")
    if lane.specialist is not None and lane.specialist not in node.specialists:
        return Verdict(node.name, Refusal.NO_SPECIALIST, f"has no @{lane.specialist}")
    missing = [label for label in lane.requires if label not in node.labels]
    if missing:
        return Verdict(node.name, Refusal.NO_LABEL, f"lacks {', '.join(missing)}")
    return None if lane.project is None else _without_project(node, lane.project)


def _without_project(node: NodeRecord, name: str) -> Verdict | None:
    project = node.project(name)
    if project is None:
        return Verdict(node.name, Refusal.NO_PROJECT, f"has no project {name}")
    if project.problem is not None:
        text = f"its project {name} cannot be used: {project.problem}"
        return Verdict(node.name, Refusal.NO_PROJECT, text)
    return None


def _breaker_text(record: BreakerRecord) -> str:
    if record.probe_fence is not None:
        return "breaker half-open, one probe is running"
    return f"breaker open: {record.reason or 'node faults'}"


def score(view: NodeView, now: float) -> tuple[float, float, float, str]:
    """Smaller is better: free slots first, then younger heartbeat, recent success, the name."""
    age_s = now - (view.heartbeat_at or 0.0)
    return (-view.free, age_s, -view.node.success, view.node.name)


def choose(
    views: Iterable[NodeView], lane: Lane, now: float, stale_after_s: float
) -> NodeView | None:
    """The best node that would take a task of this lane and is asking for work."""
    asking = [v for v in views if v.offered and judge(v, lane, now, stale_after_s).ok]
    return min(asking, key=lambda view: score(view, now), default=None)


def candidates(views: dict[str, NodeView], lane: Lane) -> Iterator[NodeView]:
    """The nodes a lane could ever use: the pinned one, or all."""
    if lane.pinned_node is None:
        yield from views.values()
    elif lane.pinned_node in views:
        yield views[lane.pinned_node]


NEXT = "next in line"


def summarize(lane: Lane, verdicts: Iterable[Verdict]) -> str:
    """One sentence: what stands between a task and a slot, the nearest obstacle first."""
    verdicts = list(verdicts)
    if any(v.ok for v in verdicts):
        return NEXT
    if lane.pinned_node is not None and all(v.node != lane.pinned_node for v in verdicts):
        return f"no node is called {lane.pinned_node}"
    fitting = [v for v in verdicts if v.refusal not in _NEVER]
    if not fitting:
        return _nobody_fits(lane, verdicts)
    nearest = min(fitting, key=lambda v: (_NEARNESS.index(v.refusal), v.until or 0.0, v.node))
    alike = sum(v.refusal is nearest.refusal for v in fitting)
    if nearest.refusal is Refusal.NO_SLOT and alike > 1:
        return f"all slots are busy on {alike} nodes"
    if nearest.refusal is Refusal.AWAY:
        # No figure that grows: what is kept of this changes only when the obstacle does.
        return f"{nearest.node} is away"
    return f"{nearest.node}: {nearest.text}"


_NEVER = (
    Refusal.PINNED_ELSEWHERE,
    Refusal.MOVED_AWAY,
    Refusal.NO_SPECIALIST,
    Refusal.NO_LABEL,
    Refusal.NO_PROJECT,
)
_NEARNESS: list[Refusal | None] = [
    Refusal.NO_SLOT,
    Refusal.ACCOUNT,
    Refusal.BREAKER,
    Refusal.NOT_ACCEPTING,
    Refusal.DRAINING,
    Refusal.AWAY,
]


def _nobody_fits(lane: Lane, verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "no node has registered yet"
    if all(v.refusal is Refusal.MOVED_AWAY for v in verdicts):
        return f"there is no node but {lane.avoid_node}, from which it was moved away"
    if lane.specialist is not None and all(
        v.refusal in (Refusal.NO_SPECIALIST, Refusal.PINNED_ELSEWHERE) for v in verdicts
    ):
        return f"no node has @{lane.specialist}"
    if lane.requires:
        return f"no node has {', '.join(lane.requires)}"
    if lane.project is not None:
        return f"no node has the project {lane.project}"
    return "no node fits"


def new_success(success: float, ok: bool) -> float:
    """A node's recent success, an average that forgets: about the last ten attempts."""
    return success + (float(ok) - success) * 0.2
