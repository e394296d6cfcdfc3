"""`mesh status`: what runs on this machine, and what the mesh is doing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import click
import msgspec

from cli.commands.nodes import print_nodes
from cli.commands.up import described
from cli.output import dollars, first_line, json_option, plain, print_json
from cli.parent.plan import plan
from cli.parent.record import DaemonRecord, living_parent, lock_holder
from cli.session import Session, pass_session
from cli.states import word_of
from common.client import OperatorApi
from common.costs import cost_words, unknown_words
from common.errors import EXIT_FAILED, EXIT_OK, ConfigError, MeshError
from common.wire.approvals import ApprovalState
from common.wire.events import Snapshot
from common.wire.nodes import AccountState, NodeList
from common.wire.tasks import TERMINAL_STATES, TaskState

_WELL = ("starting", "running", "elsewhere", "stopped")


@dataclass(slots=True)
class Found:
    """`error` is why the hub could not be asked; `note` why it need not be."""

    daemons: dict[str, DaemonRecord] = field(default_factory=dict)
    parent: int | None = None
    snapshot: Snapshot | None = None
    nodes: NodeList | None = None
    error: str | None = None
    note: str | None = None

    @property
    def well(self) -> bool:
        return self.error is None and all(
            record.state in ("starting", "running", "elsewhere", "stopped")
            for record in self.daemons.values()
        )


@click.command()
@json_option
@pass_session
def status(session: Session, as_json: bool) -> int:
    """Say what runs here and what the mesh is doing; exit 1 when something should run and does not.

    \b
    Example: mesh status --json
    """
    found = Found()
    _look_here(session, found)
    try:
        found.snapshot, found.nodes = session.ask_hub(_asked, timeout_s=5.0)
    except ConfigError as error:
        if session.loaded.config.hub.run or not found.daemons:
            found.error = error.message
        else:
            found.note = "this machine works for a hub elsewhere and has no operator token for it."
    except MeshError as error:
        found.error = error.message
    if as_json:
        print_json(_as_record(found))
    else:
        _print(session, found)
    return EXIT_OK if found.well else EXIT_FAILED


async def _asked(hub: OperatorApi) -> tuple[Snapshot, NodeList]:
    return await hub.snapshot(), await hub.nodes()


def _look_here(session: Session, found: Found) -> None:
    """What this machine should run, and whether it does: by the parent, else by the locks."""
    record = living_parent(session.paths)
    found.parent = record.parent.pid if record else None
    config = session.loaded.config
    if not (config.hub.run or config.agent.run or config.bridge.run):
        return
    for daemon in plan(session.loaded):
        holder = lock_holder(daemon.lock_file)
        if record is not None and daemon.name in record.daemons:
            found.daemons[daemon.name] = record.daemons[daemon.name]
        elif holder is not None:
            found.daemons[daemon.name] = DaemonRecord(state="elsewhere", process=holder)
        else:
            found.daemons[daemon.name] = DaemonRecord(state="down")


def _as_record(found: Found) -> dict[str, Any]:
    counts = _counts(found.snapshot) if found.snapshot else None
    return {
        "well": found.well,
        "error": found.error,
        "note": found.note,
        "parent": found.parent,
        "daemons": msgspec.to_builtins(found.daemons),
        "tasks": counts,
        "hold": found.snapshot and found.snapshot.hold,
        "spend": found.snapshot and found.snapshot.spend,
        "bridge": found.snapshot and found.snapshot.bridge,
        "accounts": found.snapshot and found.snapshot.accounts,
        "pending": _pending(found.snapshot) if found.snapshot else None,
        "nodes": found.nodes and found.nodes.nodes,
    }


def _counts(snapshot: Snapshot) -> dict[str, int]:
    counts = {state.value: 0 for state in TaskState if state not in TERMINAL_STATES}
    for task in snapshot.tasks:
        if task.state not in TERMINAL_STATES:
            counts[task.state] += 1
    return counts


def _pending(snapshot: Snapshot) -> list[Any]:
    return [a for a in snapshot.approvals if a.state is ApprovalState.PENDING]


def _print(session: Session, found: Found) -> None:
    for name, record in found.daemons.items():
        click.echo(described(name, record))
    if found.error or found.note:
        click.echo(f"hub: {found.error or found.note}", err=True)
    if found.snapshot is None or found.nodes is None:
        return
    click.echo()
    for line in _summary(found.snapshot):
        click.echo(line)
    if found.nodes.nodes:
        click.echo()
        print_nodes(found.nodes.nodes, session.clock.now())


def _summary(snapshot: Snapshot) -> list[str]:
    counts = {
        word_of(TaskState(state)): number for state, number in _counts(snapshot).items() if number
    }
    tasks = ", ".join(f"{number} {word}" for word, number in counts.items())
    spend = snapshot.spend
    cap = f" of {dollars(spend.cap_usd)}" if spend.cap_usd else ""
    capped = ", cap reached: nothing new starts" if spend.capped else ""
    lines = [f"Tasks: {tasks or 'nothing waits or runs'}."]
    unknown = spend.unknown_cost_attempts
    spent = cost_words(spend.cost_usd, unknown, dollars)
    lines.append(f"Today: {spent}{cap}{unknown_words(unknown)}{capped}.")
    if snapshot.hold.on:
        reason = f" ({plain(snapshot.hold.reason)})" if snapshot.hold.reason else ""
        lines.append(f"On hold{reason}: nothing new starts. mesh go ends it.")
    lines += [
        f"Asks you: {a.code} {first_line(a.summary, 80)}. mesh approve {a.code}"
        for a in _pending(snapshot)
    ]
    lines += [
        f"Account {plain(account.title)} is {account.state}: "
        f"{plain(account.reason or 'no reason given')}. mesh resume {account.name}"
        for account in snapshot.accounts
        if account.state is not AccountState.OK
    ]
    if snapshot.bridge.reported_at is not None:
        lines.append(f"Bridge: {plain(snapshot.bridge.state)}.")
    lines += [
        f"Bridge: {plain(problem.text)} {plain(problem.remedy)}".rstrip()
        for problem in snapshot.bridge.problems
    ]
    return lines
