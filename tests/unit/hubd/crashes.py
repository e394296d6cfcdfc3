"""Crashing a hub between any two statements, and opening what `kill -9` would have left behind.

A `CrashingHub` counts every statement its writer runs. At the chosen one the database files are
copied as they are at that moment, and the operation fails as its caller would see it fail.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.clock import to_datetime
from common.wire.approvals import AnswerApproval, Decision
from common.wire.messages import ClaimOutbox, OutboxOutcome
from common.wire.nodes import Ask, DrainNode
from common.wire.tasks import OnLost, Usage
from hubd.services import placing
from tests.unit.hubd.hub import BRIDGE, OPERATOR, Hub, node_actor

FILES = ("", "-wal", ".epoch")


class CrashError(Exception):
    """The process was killed here."""


class CrashingConnection:
    """Passes statements on until the one at which it crashes; commits crash before and after."""

    def __init__(self, conn: sqlite3.Connection, crash: Crash) -> None:
        self._conn = conn
        self._crash = crash

    @property
    def in_transaction(self) -> bool:
        return self._conn.in_transaction

    def execute(self, sql: str, params: Any = ()) -> sqlite3.Cursor:
        self._crash.step()
        cursor = self._conn.execute(sql, params)
        if sql == "COMMIT":
            self._crash.step()
        return cursor


@dataclass(slots=True)
class Crash:
    """Crashes at statement `at`, counted from 1, leaving a copy of `source` in `target`; never
    with `at` 0."""

    source: Path
    target: Path
    at: int = 0
    count: int = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            copy_files(self.source, self.target)
            raise CrashError


def copy_files(source: Path, target: Path) -> None:
    for suffix in FILES:
        part = Path(f"{source}{suffix}")
        if part.exists():
            shutil.copyfile(part, f"{target}{suffix}")


def crash_at(hub: Hub, crash: Crash) -> None:
    """Have the hub's writer run through a crashing connection from now on."""
    writer = hub.database._writer
    real = writer.run

    async def run(function: Callable[[Any], Any]) -> Any:
        return await real(lambda conn: function(CrashingConnection(conn, crash)))

    writer.run = run  # type: ignore[method-assign, assignment]


Step = Callable[[Hub], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What happened before, and the act that a crash interrupts and its caller then repeats."""

    before: Step
    act: Step


async def nothing(hub: Hub) -> None:
    await hub.node("rex", account="main")


async def queued(hub: Hub) -> None:
    await nothing(hub)
    await hub.text("tidy up")


async def leased(hub: Hub) -> None:
    await queued(hub)
    await hub.claim("rex")


async def running(hub: Hub) -> None:
    await leased(hub)
    await hub.start(FENCE, "rex", session_id="s-1")


async def gated(hub: Hub) -> None:
    await nothing(hub)
    await hub.text("ask publish it")


async def code(hub: Hub) -> str:
    found: str = (await hub.rows("SELECT code FROM approvals ORDER BY id DESC LIMIT 1"))[0][0]
    return found


async def asked(hub: Hub) -> None:
    await running(hub)
    await ask(hub)


async def ask(hub: Hub) -> Any:
    request = Ask(kind="tool", summary="Bash", detail="make", tool="Bash", ask_id="a1")
    return await hub.services.attempts.ask(FENCE, request, by=node_actor("rex"))


async def parked(hub: Hub) -> None:
    await asked(hub)
    await park(hub)


async def park(hub: Hub) -> None:
    await hub.result(
        FENCE, "rex", "parked", session_id="s-1", approval_code=await code(hub), cost_usd=0.1
    )


async def silent(hub: Hub) -> None:
    await running(hub)
    await hub.tick()
    await hub.tick(61.0)
    await hub.tick(61.0)


async def out_of_touch_long(hub: Hub) -> None:
    await silent(hub)
    hub.clock.advance(301.0)


async def faulty(hub: Hub) -> None:
    await nothing(hub)
    for _ in range(2):
        await hub.text("tidy up")
        await hub.run_one("rex", "node_fault", error="no disk")
        await hub.text("stop all")
        await hub.text("go")
    await hub.text("tidy up")
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")


async def finished(hub: Hub) -> None:
    await running(hub)
    await hub.result(FENCE, "rex", cost_usd=0.4)


async def held_lost(hub: Hub) -> None:
    await nothing(hub)
    await hub.submit("tidy up", on_lost=OnLost.HOLD)
    await hub.claim("rex")
    await hub.start(FENCE, "rex")
    await hub.tick()
    for _ in range(8):
        await hub.tick(61.0)


FENCE = (1 << 32) | 1


async def end(hub: Hub, outcome: str, **fields: Any) -> Any:
    usage = [Usage(model="m", input_tokens=3, output_tokens=4, cost_usd=0.4)]
    return await hub.result(FENCE, "rex", outcome, cost_usd=0.4, usage=usage, **fields)


async def last_fault(hub: Hub) -> Any:
    fence = (await hub.rows("SELECT max(fence) FROM attempts"))[0][0]
    return await hub.result(fence, "rex", "node_fault", error="no disk")


async def answer(hub: Hub, decision: Decision) -> Any:
    request = AnswerApproval(decision=decision)
    return await hub.services.approvals.answer(await code(hub), request, by=OPERATOR)


async def sent(hub: Hub) -> Any:
    claimed = await hub.services.outbox.claim(ClaimOutbox(wait_s=0), by=BRIDGE)
    return claimed.items


async def dispatch(hub: Hub) -> Any:
    """What the dispatcher does for a node that asks."""
    env = hub.services.dispatcher.env
    return await hub.database.write(lambda tx: placing.run_pass(tx, env, {"rex": 2}))


async def acknowledge(hub: Hub) -> Any:
    outcome = OutboxOutcome(outcome="sent", guid="out-1", order=9)
    return await hub.services.outbox.resolve(1, outcome, by=BRIDGE)


async def claimed_text(hub: Hub) -> None:
    await queued(hub)
    await sent(hub)


OPERATIONS: dict[str, Operation] = {
    "submit": Operation(nothing, lambda hub: hub.submit("tidy", key="k1")),
    "submit gated": Operation(nothing, lambda hub: hub.submit("tidy", key="k1", approval=True)),
    "register": Operation(nothing, lambda hub: hub.node("archon", slots=5)),
    "text": Operation(nothing, lambda hub: hub.text("tidy up", guid="g-1", order=1)),
    "text ask": Operation(nothing, lambda hub: hub.text("ask tidy up", guid="g-1", order=1)),
    "text stop": Operation(running, lambda hub: hub.text("stop all", guid="g-9", order=9)),
    "claim": Operation(queued, dispatch),
    "start": Operation(leased, lambda hub: hub.start(FENCE, "rex")),
    "release": Operation(
        leased, lambda hub: hub.services.attempts.release(FENCE, by=node_actor("rex"))
    ),
    "result ok": Operation(running, lambda hub: end(hub, "ok")),
    "result failed": Operation(running, lambda hub: end(hub, "permanent", error="no such branch")),
    "result limit": Operation(
        running, lambda hub: end(hub, "provider_limit", resets_at=to_datetime(1_780_009_000.0))
    ),
    "result that opens the breaker": Operation(faulty, last_fault),
    "result fenced": Operation(out_of_touch_long, lambda hub: end(hub, "ok")),
    "cancel waiting": Operation(queued, lambda hub: hub.services.tasks.cancel(1, by=OPERATOR)),
    "cancel running": Operation(running, lambda hub: hub.services.tasks.cancel(1, by=OPERATOR)),
    "approve": Operation(gated, lambda hub: answer(hub, Decision.APPROVE)),
    "deny": Operation(gated, lambda hub: answer(hub, Decision.DENY)),
    "ask": Operation(running, ask),
    "park": Operation(asked, park),
    "answer a parked one": Operation(parked, lambda hub: answer(hub, Decision.APPROVE)),
    "heartbeat of a lost one": Operation(silent, lambda hub: hub.beat("rex", FENCE)),
    "lease expires": Operation(silent, lambda hub: hub.tick(1.0)),
    "attempt is lost": Operation(out_of_touch_long, lambda hub: hub.tick()),
    "retry": Operation(finished, lambda hub: hub.services.tasks.retry(1, key="again", by=OPERATOR)),
    "retry a held one": Operation(
        held_lost, lambda hub: hub.services.tasks.retry(1, key="again", by=OPERATOR)
    ),
    "drain": Operation(
        nothing,
        lambda hub: hub.services.nodes.drain("rex", DrainNode(note="lunch"), by=OPERATOR),
    ),
    "outbox claim": Operation(queued, sent),
    "outbox acknowledged": Operation(claimed_text, acknowledge),
}
