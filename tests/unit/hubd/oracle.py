"""The invariants of a hub, checked on its database from outside its own code paths.

An `Oracle` looks at every committed state through a connection of its own, remembers what it saw,
and raises AssertionError naming the invariant that broke (I1, I2 … of the reliability rules).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from common.fold import FoldedState
from common.wire.admin import Hold, Spend
from common.wire.events import Entity, Event
from common.wire.messages import Bridge
from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, Task, TaskState
from hubd.domain import approvals as rules
from hubd.domain.lifecycle import EDGES, FIRST_STATES
from hubd.domain.records import ApprovalRecord, AttemptRecord, BreakerRecord, TaskRecord
from hubd.services import present
from hubd.store import approvals, attempts, conversation, events, nodes, tasks
from hubd.store.conversation import OutboxRow

LEGAL = {(source, edge.event, edge.target) for edge in EDGES.values() for source in edge.sources}
FINISHED = {state.value for state in TERMINAL_STATES}


@dataclass(slots=True)
class Seen:
    """One committed state."""

    tasks: dict[int, TaskRecord]
    attempts: dict[int, AttemptRecord]
    approvals: dict[int, ApprovalRecord]
    breakers: dict[str, BreakerRecord]
    outbox: dict[int, OutboxRow]
    slots: dict[str, int]

    def task_of(self, fence: int) -> TaskRecord | None:
        """The task whose current fence this is."""
        for task in self.tasks.values():
            if task.fence == fence:
                return task
        return None


@dataclass(slots=True)
class Oracle:
    """What was seen and promised so far; `acknowledged` maps a submit's key to its task."""

    path: Path
    epoch: int
    conn: sqlite3.Connection = field(init=False)
    seen: Seen = field(init=False)
    folded: FoldedState = field(init=False)
    seq: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    expected_tasks: set[int] = field(default_factory=set)
    reported: dict[int, float] = field(default_factory=dict)
    """What results said of their cost."""
    so_far: dict[int, list[float | None]] = field(default_factory=dict)
    """What running attempts said, one after the other; None for an unknown price."""
    applied: set[int] = field(default_factory=set)
    fences: list[int] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    guids: dict[str, int | None] = field(default_factory=dict)
    opened_after: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.conn = sqlite3.connect(self.path, isolation_level=None)
        self.folded = FoldedState("0-0", Hold(), Spend(day=""), Bridge())
        self.seen = self.look()

    def close(self) -> None:
        self.conn.close()

    def look(self) -> Seen:
        conn = self.conn
        return Seen(
            tasks={t.id: t for t in tasks.TASKS.find_all(conn, "ORDER BY id", {})},
            attempts={a.fence: a for a in attempts.ATTEMPTS.find_all(conn, "", {})},
            approvals={a.id: a for a in approvals.APPROVALS.find_all(conn, "", {})},
            breakers=nodes.breakers(conn),
            outbox={o.id: o for o in conversation.OUTBOX.find_all(conn, "", {})},
            slots={n.name: n.slots for n in nodes.everyone(conn)},
        )

    def check(self) -> None:
        """Look again and hold the new state, and the step from the last one, to the rules."""
        was, now_is = self.seen, self.look()
        self._nothing_lost(now_is)
        self._terminal_stays(was, now_is)
        self._fences_increase(was, now_is)
        self._slots_respected(now_is)
        self._one_final_reply(now_is)
        self._one_cost_row(now_is)
        self._breakers_have_reason(was, now_is)
        self._one_probe(now_is)
        self._gates_held(was, now_is)
        self._answers_stay(was, now_is)
        self._grants_held(was, now_is)
        self._poison_stops(now_is)
        self._places_kept(was, now_is)
        self._live_means_held(now_is)
        self._sent_once(was, now_is)
        self._events_tell_all(now_is)
        self.seen = now_is

    def _nothing_lost(self, now_is: Seen) -> None:
        assert set(now_is.tasks) == self.expected_tasks, "I1: a task is lost or came from nowhere"
        known = dict(self.conn.execute("SELECT key, task_id FROM submissions").fetchall())
        assert known == self.acknowledged, "I1: a key means another task"

    def _terminal_stays(self, was: Seen, now_is: Seen) -> None:
        for task_id, task in was.tasks.items():
            if task.state in TERMINAL_STATES:
                assert now_is.tasks[task_id].state is task.state, "I2: a terminal state changed"

    def _fences_increase(self, was: Seen, now_is: Seen) -> None:
        new = sorted(set(now_is.attempts) - set(was.attempts))
        for fence in new:
            assert not self.fences or fence > self.fences[-1], "I3: a fence did not increase"
            self.fences.append(fence)

    def _slots_respected(self, now_is: Seen) -> None:
        busy: dict[str, int] = {}
        for task in now_is.tasks.values():
            if task.state in LIVE_STATES:
                busy[task.node or ""] = busy.get(task.node or "", 0) + 1
        for node, count in busy.items():
            assert count <= now_is.slots[node], "I5: more live tasks than slots"

    def _one_final_reply(self, now_is: Seen) -> None:
        finals: dict[int, int] = {}
        for row in now_is.outbox.values():
            if row.kind == "final":
                finals[row.task_id or 0] = finals.get(row.task_id or 0, 0) + 1
        for task in now_is.tasks.values():
            wanted = int(task.state in TERMINAL_STATES and task.conversation is not None)
            assert finals.get(task.id, 0) == wanted, f"I6: #{task.id} has the wrong final replies"

    def _one_cost_row(self, now_is: Seen) -> None:
        query = "SELECT fence, counted_usd, unknown, basis FROM costs"
        rows = {fence: tuple(row) for fence, *row in self.conn.execute(query).fetchall()}
        lost = {a.fence for a in now_is.attempts.values() if _is_given_up(a)}
        wanted = {*self.reported, *self.so_far, *lost}
        assert set(rows) == wanted, "I7: cost rows and what was said of costs differ"
        for fence, (usd, unknown, basis) in rows.items():
            if fence in self.reported:
                assert basis == "result", "I7: a result does not replace what was said before"
                assert abs(usd - self.reported[fence]) < 1e-9, "I7: a cost row is wrong"
                continue
            said = self.so_far.get(fence, [None])
            is_over = now_is.attempts[fence].ended_at is not None
            assert basis == ("seen" if is_over else "running"), "I7: on what does a cost rest?"
            last = said[-1:] if is_over else said
            assert (usd, bool(unknown)) in [(s or 0.0, s is None) for s in last], "I7: not as said"
        total = sum(task.cost_usd for task in now_is.tasks.values())
        unknown = sum(task.unknown_costs for task in now_is.tasks.values())
        sums = "SELECT coalesce(sum(cost_usd), 0), coalesce(sum(unknown), 0) FROM days"
        days, unknown_days = self.conn.execute(sums).fetchall()[0]
        booked = sum(row[0] for row in rows.values())
        assert abs(total - booked) < 1e-6, "I7: the tasks' costs do not add up"
        assert abs(days - booked) < 1e-6, "I7: the days' costs do not add up"
        assert unknown == unknown_days == sum(row[1] for row in rows.values()), "I7: unknown"

    def _one_probe(self, now_is: Seen) -> None:
        for breaker in now_is.breakers.values():
            if breaker.state.value == "closed":
                continue
            since = [
                a
                for a in now_is.attempts.values()
                if a.node == breaker.node
                and a.ended_at is None
                and a.fence > self.opened_after.get(breaker.node, 0)
            ]
            limit = 0 if breaker.state.value == "open" else 1
            assert len(since) <= limit, f"I8: {len(since)} live attempts behind {breaker.state}"
            if since:
                assert breaker.probe_fence == since[0].fence, "I8: the probe is not the attempt"

    def _gates_held(self, was: Seen, now_is: Seen) -> None:
        for fence in set(now_is.attempts) - set(was.attempts):
            task = now_is.tasks[now_is.attempts[fence].task_id]
            gates = [
                a
                for a in now_is.approvals.values()
                if a.task_id == task.id and a.kind.value == "gate"
            ]
            for gate in gates:
                assert gate.state.value == "approved", "I10: leased before the yes"
                assert gate.answered_by, "I10: the yes is nobody's"
                assert gate.digest == rules.task_digest(task), "I10: not what was approved"

    def _answers_stay(self, was: Seen, now_is: Seen) -> None:
        for approval_id, before in was.approvals.items():
            after = now_is.approvals[approval_id]
            if before.state.value != "pending":
                assert _answer_of(after) == _answer_of(before), "I12: an answer changed"
            elif after.state.value in ("approved", "denied"):
                assert after.answered_by, "I12: nobody answered"
                assert after.answered_at, "I12: at no time"
                assert after.answered_via, "I12: from nowhere"

    def _grants_held(self, was: Seen, now_is: Seen) -> None:
        """A yes for the rest of a task is a person's, for that task, and for nothing risky."""
        given = {
            (a.task_id, a.tool, a.rules or a.detail, a.code)
            for a in now_is.approvals.values()
            if a.scope == "task" and a.state.value == "approved" and a.answered_via != "grant"
        }
        whose = {(task_id, tool, what) for task_id, tool, what, _ in given}
        codes = {(task_id, code) for task_id, _, _, code in given}
        for task in now_is.tasks.values():
            for grant in task.grants:
                assert (task.id, grant.code) in codes, "I24: a standing yes that nobody gave"
        for approval_id in set(now_is.approvals) - set(was.approvals):
            new = now_is.approvals[approval_id]
            if new.answered_via == "grant":
                assert (new.task_id, new.tool, new.rules or new.detail) in whose, (
                    "I24: answered by the yes to something else"
                )
                assert new.risk.value != "high", "I24: high risk without a person"
                assert "rm -rf" not in new.detail, "I24: high risk without a person"
                assert was.tasks[new.task_id or 0].grants, "I24: answered by what was taken back"

    def _breakers_have_reason(self, was: Seen, now_is: Seen) -> None:
        for node, breaker in now_is.breakers.items():
            before = was.breakers.get(node)
            opened = breaker.state.value == "open" and (
                before is None or before.opens < breaker.opens
            )
            if opened:
                assert self.faults.get(node, 0) > 0, "I14: opened without a node fault"
                if before is None or before.state.value == "closed":
                    assert self.faults[node] >= 3, "I14: opened before its threshold"
                self.faults[node] = 0
                # Attempts leased before the breaker opened are left alone (B8).
                self.opened_after[node] = max(was.attempts, default=0)

    def _poison_stops(self, now_is: Seen) -> None:
        for task in now_is.tasks.values():
            assert task.crashes <= 3, "I15: a poison task ran again"
            if task.crashes == 3:
                assert task.state in TERMINAL_STATES, "I15: a poison task lives"

    def _places_kept(self, was: Seen, now_is: Seen) -> None:
        """Work that waits for its node is given to no other before the time it said."""
        for fence in set(now_is.attempts) - set(was.attempts):
            attempt = now_is.attempts[fence]
            before = was.tasks.get(attempt.task_id)
            if before is None or before.state is not TaskState.QUEUED or not before.sticky:
                continue
            if (before.wait_until or 9e99) > attempt.leased_at:
                place = before.pinned_node or before.session_node or before.last_node
                assert attempt.node == place, "I25: it was given to another node than it waits for"

    def _live_means_held(self, now_is: Seen) -> None:
        live = {t.fence for t in now_is.tasks.values() if t.state in LIVE_STATES}
        for task in now_is.tasks.values():
            held = (task.node, task.lease_until, task.fence)
            if task.state in LIVE_STATES:
                assert None not in held, "I17: live without node, lease or fence"
            else:
                assert held == (None, None, None), "I17: not live, yet held"
        unended = {a.fence for a in now_is.attempts.values() if a.ended_at is None}
        assert unended == live, "I17: open attempts and live tasks differ"

    def _sent_once(self, was: Seen, now_is: Seen) -> None:
        for row_id, before in was.outbox.items():
            if before.state == "sent":
                assert now_is.outbox[row_id].state == "sent", "I22: a sent reply was unsent"

    def _events_tell_all(self, now_is: Seen) -> None:
        for event in events.after(self.conn, self.epoch, self.seq, 100_000):
            assert event.seq == self.seq + 1, "I16: a gap in the log"
            self.seq = event.seq
            if event.entity is Entity.TASK:
                self._check_edge(event)
            self.folded.apply(event)
        shown = {task_id: present.task(task) for task_id, task in now_is.tasks.items()}
        assert self.folded.tasks == shown, "I16: the events tell another story of the tasks"
        asked = {i: present.approval(a) for i, a in now_is.approvals.items()}
        assert self.folded.approvals == asked, "I16: the events tell another story of approvals"
        for name, breaker in now_is.breakers.items():
            assert self.folded.nodes[name].breaker == present.breaker(breaker), (
                "I16: the events tell another story of a breaker"
            )
        accounts = {n: present.account(a) for n, a in nodes.accounts(self.conn).items()}
        assert self.folded.accounts == accounts, "I16: the events tell another story of accounts"
        bubbles = {f"out-{i}" for i in now_is.outbox}
        assert {m for m in self.folded.messages if m.startswith("out")} == bubbles

    def _check_edge(self, event: Event) -> None:
        record = msgspec.json.decode(event.record, type=Task)
        before = self.folded.tasks.get(record.id)
        if before is None:
            assert record.state in FIRST_STATES, f"I16: a task began as {record.state}"
            return
        if before.state is record.state:
            return
        edge: tuple[TaskState, str, TaskState] = (before.state, event.type, record.state)
        assert edge in LEGAL, f"I16: {edge} is no edge of the lifecycle"


def _answer_of(approval: ApprovalRecord) -> tuple[Any, ...]:
    return (
        approval.state,
        approval.answered_at,
        approval.answered_by,
        approval.answered_via,
        approval.note,
        approval.answer,
    )


def _is_given_up(attempt: AttemptRecord) -> bool:
    """Whether the hub lost it after its start: it cost something, and nobody says what."""
    return (
        attempt.outcome == "lost" and attempt.result_hash is None and attempt.started_at is not None
    )
