"""The simulated fleet's beginning: three Macs, a day's work, two open questions, a conversation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from common.wire.admin import CostRow, Hold, Spend
from common.wire.approvals import Approval, ApprovalKind, ApprovalState, Risk
from common.wire.events import HubInfo
from common.wire.facts import NodeFacts, ProjectFacts
from common.wire.messages import Bridge, Message, MessageState
from common.wire.nodes import Account, AccountState, Breaker, BreakerState, Node
from common.wire.tasks import Attempt, Priority, Task, TaskState, Usage

CAP_USD = 20.0
MODEL = "claude-sonnet-4-6"
SMALL_MODEL = "claude-haiku-4-5"
CHAT = "iMessage;-;+15550100"
OWNER = "+15550100"
SPECIALISTS = [
    "accessibility-auditor", "api-designer", "backend-engineer", "code-reviewer", "data-analyst",
    "database-engineer", "debugger", "frontend-engineer", "incident-responder",
    "infrastructure-engineer", "mobile-engineer", "performance-engineer", "refactorer",
    "release-engineer", "researcher", "security-auditor", "technical-writer", "test-engineer",
    "ui-ux-designer",
]  # fmt: skip
DEPLOY = """cd ~/src/shop
git push production main
ssh shop 'cd /srv/shop && bin/migrate && systemctl restart shop'"""


@dataclass(slots=True)
class Fleet:
    """All records of the simulated hub, as they are now."""

    hub: HubInfo
    hold: Hold
    spend: Spend
    bridge: Bridge
    tasks: dict[int, Task] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    approvals: dict[int, Approval] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    attempts: dict[int, list[Attempt]] = field(default_factory=dict)
    results: dict[int, str] = field(default_factory=dict)
    days: list[CostRow] = field(default_factory=list)
    fence: int = 300


def begin(now: datetime) -> Fleet:
    """The fleet at the moment the demo opens."""
    fleet = Fleet(
        hub=HubInfo(
            version="demo", started_at=now - timedelta(days=3), epoch=1, stale_after_s=25.0
        ),
        hold=Hold(),
        spend=Spend(
            day=now.date().isoformat(), cost_usd=6.47, cap_usd=CAP_USD, input_tokens=412_000,
            output_tokens=188_000, cache_read_tokens=5_310_000, cache_write_tokens=640_000,
        ),
        bridge=Bridge(state="ok", version="demo", reported_at=now),
    )  # fmt: skip
    _nodes(fleet, now)
    for task in _tasks(now):
        add_task(fleet, task)
    for approval in _approvals(now):
        fleet.approvals[approval.id] = approval
    for message in _messages(now):
        fleet.messages[message.id] = message
    fleet.days = [
        CostRow(key=(now - timedelta(days=back)).date().isoformat(), attempts=12, cost_usd=usd)
        for back, usd in enumerate(_PAST_DAYS, start=1)
    ]
    return fleet


_PAST_DAYS = (11.2, 14.9, 3.1, 2.4, 9.8, 17.3, 12.6, 13.9, 8.2, 1.7, 0.9, 10.4, 15.5, 19.8,
              7.7, 6.1, 2.2, 3.0, 12.1, 11.5, 9.4, 14.0, 16.2, 4.4, 1.1, 8.8, 10.9)  # fmt: skip


def _nodes(fleet: Fleet, now: datetime) -> None:
    def node(name: str, slots: int, account: str, **more: Any) -> Node:
        return Node(
            name=name, slots=slots, account=account, version="0.1.0",
            registered_at=now - timedelta(days=3), specialists=SPECIALISTS, runners=["claude"],
            last_heartbeat_at=now - timedelta(seconds=slots), **more,
        )  # fmt: skip

    tripped = Breaker(
        state=BreakerState.OPEN, fails=3, opens=1, until=now + timedelta(seconds=95),
        reason="claude exited with 127 three times within 40 s",
        changed_at=now - timedelta(minutes=2),
    )  # fmt: skip
    nodes = [
        node("Archon", 5, "personal", labels=["studio", "docker"],
             facts=_facts("26.1", power="mains", disk_free_gb=810.0, projects=[SHOP, SITE])),
        node("Rex", 2, "personal", labels=["laptop"], breaker=tripped,
             facts=_facts("26.1", power="battery 60 %", disk_free_gb=96.0, projects=[SHOP])),
        node("Crucible", 3, "work", labels=["mini", "docker"],
             facts=_facts("15.7", claude="2.1.322", power="mains", disk_free_gb=1400.0)),
    ]  # fmt: skip
    fleet.nodes = {each.name: each for each in nodes}
    paused = Account(
        name="work", state=AccountState.PAUSED, paused_until=now + timedelta(minutes=47),
        reason="5-hour limit of the plan", changed_at=now - timedelta(minutes=12),
    )  # fmt: skip
    fleet.accounts = {"personal": Account(name="personal"), "work": paused}


SHOP = ProjectFacts(
    name="shop", branch="main", head="5f0ef1e7c2ab", remote="https://git.example.org/me/shop.git"
)
SITE = ProjectFacts(name="site", branch="spring", head="11dc68921d04", dirty=True)


def _facts(macos: str, **more: Any) -> NodeFacts:
    given = {"claude": "2.1.330", "python": "3.13.9", "model": "sonnet", "projects": []} | more
    return NodeFacts(system=f"macOS {macos}", **given)


def add_task(fleet: Fleet, task: Task) -> None:
    """Put a task with an attempt for what it has run so far."""
    fleet.tasks[task.id] = task
    if task.started_at is None or task.node is None:
        return
    usage = Usage(
        model=MODEL, input_tokens=task.input_tokens, output_tokens=task.output_tokens,
        cache_read_tokens=task.cache_read_tokens, cache_write_tokens=task.cache_write_tokens,
        cost_usd=task.cost_usd, estimate_usd=task.cost_usd,
    )  # fmt: skip
    fleet.attempts[task.id] = [
        Attempt(
            fence=task.fence or task.id * 10, task_id=task.id, number=max(1, task.attempt),
            node=task.node, runner="claude", account="personal", leased_at=task.started_at,
            started_at=task.started_at, ended_at=task.finished_at, outcome=task.outcome,
            error=task.error, session_id=task.session_id, cost_usd=task.cost_usd, usage=[usage],
        )
    ]  # fmt: skip
    if task.summary:
        fleet.results[task.id] = f"{task.summary}\n\nNo model ran: this is the demo fleet."


def _tasks(now: datetime) -> list[Task]:
    running, queued, done = TaskState.RUNNING, TaskState.QUEUED, TaskState.SUCCEEDED
    rows: list[tuple[int, TaskState, str, str | None, str | None, float, float, float]] = [
        (412, done, "Weekly digest of the mailing lists", "researcher", "Archon", 190, 11, 0.62),
        (413, done, "Why is the nightly build 4 minutes slower?", "performance-engineer",
         "Crucible", 165, 18, 1.31),
        (414, TaskState.FAILED, "Renew the staging certificate", "infrastructure-engineer",
         "Rex", 131, 2, 0.11),
        (415, done, "Draft release notes for 2.9", "technical-writer", "Archon", 118, 6, 0.38),
        (416, TaskState.CANCELLED, "Translate the FAQ into 日本語", "technical-writer",
         "Archon", 97, 3, 0.14),
        (417, done, "Bring test coverage of billing/ over 90 %", "test-engineer",
         "Archon", 84, 31, 2.04),
        (418, TaskState.DENIED, "Delete the old S3 buckets", None, None, 80, 0, 0.0),
        (419, running, "Move the invoices to the new schema", "database-engineer",
         "Archon", 22, 22, 0.94),
        (420, running, "Find the memory leak in the image worker", "debugger",
         "Archon", 14, 14, 0.57),
        (421, running, "Review pull request 318: retries with jitter 🎲", "code-reviewer",
         "Archon", 6, 6, 0.21),
        (422, running, "Accessible colours for the charts", "accessibility-auditor",
         "Rex", 5, 5, 0.08),
        (423, TaskState.WAITING_APPROVAL, "Deploy shop 2.9 to production", "release-engineer",
         None, 4, 0, 0.0),
        (424, TaskState.WAITING_APPROVAL, "Tidy the downloads folder", None, "Archon", 9, 8, 0.07),
        (425, queued, "Summarise the incident of Tuesday", "incident-responder", None, 3, 0, 0.0),
        (426, queued, "Compare three vector databases", "researcher", None, 2, 0, 0.0),
        (427, queued, "Icons for the settings page", "ui-ux-designer", None, 1, 0, 0.0),
    ]  # fmt: skip
    return [_task(now, *row) for row in rows]


_WHY = {
    425: "Crucible's account is paused",
    426: "waits for a free slot",
    427: "pinned to Crucible, whose account is paused",
}


def _task(
    now: datetime, number: int, state: TaskState, title: str, specialist: str | None,
    node: str | None, ago_m: float, ran_m: float, cost: float,
) -> Task:  # fmt: skip
    began = now - timedelta(minutes=ago_m)
    started = began if ran_m else None
    finished = began + timedelta(minutes=ran_m)
    over = state in {"succeeded", "failed", "cancelled", "denied"}
    live = state is TaskState.RUNNING
    return Task(
        id=number, title=title, prompt=f"{title}. Say what you did and what is left to do.",
        state=state, specialist=specialist, node=node, created_at=began - timedelta(seconds=20),
        pinned_node="Crucible" if number == 427 else None,
        priority=Priority.HIGH if number == 425 else Priority.NORMAL,
        updated_at=finished if over else now, started_at=started,
        finished_at=finished if over else None, attempt=1 if ran_m else 0,
        fence=number if live else None, source="imessage", submitted_by=OWNER, conversation=CHAT,
        lease_until=now + timedelta(seconds=55) if live else None,
        outcome={"succeeded": "ok", "failed": "task_error"}.get(state),
        error="certbot: DNS challenge failed for staging.example.org" if number == 414 else None,
        wait_reason=_WHY.get(number), summary="Done." if state is TaskState.SUCCEEDED else None,
        approval_code={423: "K7", 424: "M3"}.get(number), session_id=f"session-{number}",
        session_node=node, cost_usd=cost, input_tokens=int(cost * 21_000),
        output_tokens=int(cost * 17_500), cache_read_tokens=int(cost * 512_000),
        cache_write_tokens=int(cost * 61_000),
    )  # fmt: skip


def _approvals(now: datetime) -> list[Approval]:
    def approval(number: int, code: str, task: int, **more: Any) -> Approval:
        digest = hashlib.sha256(str(more.get("detail")).encode()).hexdigest()
        return Approval(id=number, code=code, task_id=task, digest=digest, **more)

    return [
        approval(
            31, "K7", 423, kind=ApprovalKind.GATE, state=ApprovalState.PENDING, risk=Risk.HIGH,
            summary="Deploy shop 2.9 to production", detail=DEPLOY,
            asked_at=now - timedelta(minutes=4),
        ),
        approval(
            32, "M3", 424, kind=ApprovalKind.TOOL, state=ApprovalState.PENDING, node="Archon",
            summary="Bash: remove 214 files from ~/Downloads",
            detail="find ~/Downloads -name '*.dmg' -mtime +90 -delete",
            asked_at=now - timedelta(minutes=1),
        ),
        approval(
            30, "F2", 418, kind=ApprovalKind.GATE, state=ApprovalState.DENIED, risk=Risk.HIGH,
            summary="Delete the old S3 buckets", detail="aws s3 rb --force s3://archive-2019",
            asked_at=now - timedelta(minutes=80), answered_at=now - timedelta(minutes=78),
            answered_by=OWNER, answered_via="imessage", note="not before the audit",
        ),
    ]  # fmt: skip


def _messages(now: datetime) -> list[Message]:
    rows = [
        ("in-1", 118, "@technical-writer draft release notes for 2.9", 415, None),
        ("out-1", 118, "#415 → Archon (technical-writer).", 415, None),
        ("out-2", 112, "#415 done ✓ 6m $0.38 on Archon\n11 changes, 2 of them breaking. "
         "Draft in docs/RELEASE-2.9.md", 415, None),
        ("in-2", 4, "ask @release-engineer deploy shop 2.9 to production", 423, None),
        ("out-3", 4, "#423 waits for your yes, high risk. y K7 or n K7 why", 423, "K7"),
        ("out-4", 1, "#424 on Archon wants: remove 214 files from ~/Downloads. y M3 or n M3", 424,
         "M3"),
    ]  # fmt: skip
    return [
        Message(
            id=key, direction=key.partition("-")[0], chat=CHAT, text=text, task_id=task,
            sender=OWNER if key.startswith("in") else None, approval_code=code,
            at=now - timedelta(minutes=ago_m),
            state=MessageState.RECEIVED if key.startswith("in") else MessageState.SENT,
        )
        for key, ago_m, text, task, code in rows
    ]  # fmt: skip


def changed(record: msgspec.Struct, **more: Any) -> Any:
    return msgspec.structs.replace(record, **more)
