"""`mesh nodes`, `agents`, `drain`, `undrain`, `reset`, `resume`."""

from __future__ import annotations

import difflib
import re

import click

from cli.output import age, json_option, plain, print_json, print_table, span
from cli.session import Session, pass_session
from common.client import OperatorApi
from common.clock import to_epoch
from common.wire.nodes import AccountState, BreakerState, DrainNode, Node, NodeStatus

_SPAN = re.compile(r"^(\d{1,4})([smhd]?)$")
_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Span(click.ParamType[float]):
    """`30m`, `2h`, `1d`, or seconds."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = _SPAN.match(str(value))
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no time: give one such as 30m, 2h or 1d.", param, ctx)
        return int(match[1]) * _UNIT_S[match[2]]


SPAN = Span()


@click.command()
@json_option
@pass_session
def nodes(session: Session, as_json: bool) -> None:
    """List the machines: slots, last heartbeat, breaker, account."""
    found = session.ask_hub(lambda hub: hub.nodes())
    if as_json:
        print_json(found)
        return
    if not found.nodes:
        click.echo("No node has registered. On a machine that shall work: mesh up")
        return
    print_nodes(found.nodes, session.clock.now())


def print_nodes(found: list[NodeStatus], now: float) -> None:
    print_table(
        ["NODE", "SLOTS", ">SEEN", "STATE", "BREAKER", "ACCOUNT", "LABELS"],
        [
            (
                node.name,
                f"{'▮' * node.busy}{'▯' * max(node.slots - node.busy, 0)} {node.busy}/{node.slots}",
                age(node.last_heartbeat_at, now),
                state_of(node),
                _breaker_of(node, now),
                _account_of(node, now),
                " ".join(node.labels) or "-",
            )
            for node in found
        ],
    )


def state_of(node: NodeStatus) -> str:
    if not node.online:
        return "away"
    if node.draining:
        return f"draining ({plain(node.drain_note)})" if node.drain_note else "draining"
    if node.accepting:
        return "ready"
    why = node.not_accepting_reason
    return f"takes no work ({plain(why)})" if why else "takes no work"


def _breaker_of(node: Node, now: float) -> str:
    breaker = node.breaker
    if breaker.state is BreakerState.OPEN and breaker.until is not None:
        left = max(to_epoch(breaker.until) - now, 0)
        return f"open, probe in {left:.0f}s"
    return breaker.state.replace("_", "-")


def _account_of(node: NodeStatus, now: float) -> str:
    """Its login, and what is wrong with it, here or for some models."""
    parts = [node.account or "-"]
    for trouble in node.troubles:
        what = "needs a login" if trouble.state is AccountState.BLOCKED else "paused"
        of = f"{trouble.model} " if trouble.model else ""
        left = 0.0 if trouble.paused_until is None else to_epoch(trouble.paused_until) - now
        here = " here" if trouble.node else ""
        parts.append(f"{of}{what}{here}" + (f" for {span(left)}" if left > 0 else ""))
    return ", ".join(parts)


@click.command()
@json_option
@pass_session
def agents(session: Session, as_json: bool) -> None:
    """List the specialists and the nodes that have them."""
    found = session.ask_hub(lambda hub: hub.nodes())
    bench: dict[str, list[str]] = {}
    for node in found.nodes:
        for specialist in node.specialists:
            bench.setdefault(specialist, []).append(node.name)
    if as_json:
        print_json(dict(sorted(bench.items())))
        return
    if not bench:
        click.echo("No node has registered specialists.")
        return
    print_table(
        ["SPECIALIST", "NODES"],
        [(f"@{name}", ", ".join(sorted(where))) for name, where in sorted(bench.items())],
    )


@click.command()
@click.argument("node")
@click.argument("note", nargs=-1)
@click.option("--for", "timeout_s", type=SPAN, metavar="TIME", help="Resume by itself: 30m, 2h.")
@json_option
@pass_session
def drain(
    session: Session, node: str, note: tuple[str, ...], timeout_s: float | None, as_json: bool
) -> None:
    """Let NODE finish its work and take no more.

    \b
    Example: mesh drain Rex --for 2h taking it on the train
    """
    order = DrainNode(note=" ".join(note) or None, timeout_s=timeout_s)

    async def drained(hub: OperatorApi) -> Node:
        return await hub.drain(await named(hub, node), order)

    found = session.ask_hub(drained)
    _print(found, "finishes its work and takes no more", as_json)


@click.command()
@click.argument("node")
@json_option
@pass_session
def undrain(session: Session, node: str, as_json: bool) -> None:
    """Let NODE take work again."""

    async def resumed(hub: OperatorApi) -> Node:
        return await hub.resume(await named(hub, node))

    _print(session.ask_hub(resumed), "takes work again", as_json)


@click.command()
@click.argument("node")
@json_option
@pass_session
def reset(session: Session, node: str, as_json: bool) -> None:
    """Close NODE's circuit breaker, when what was wrong with it is mended."""

    async def closed(hub: OperatorApi) -> Node:
        return await hub.reset_breaker(await named(hub, node))

    _print(session.ask_hub(closed), "has a closed breaker", as_json)


@click.command()
@click.argument("account", default="default")
@pass_session
def resume(session: Session, account: str) -> None:
    """Take a paused or blocked ACCOUNT back into service, after its login was repaired.

    `main` is the whole login; `main@rex` is what is wrong with it on one node, `main:opus` with one
    class of models.
    """
    session.ask_hub(lambda hub: hub.resume_account(account))
    click.echo(f"Account {account} is back in service.")


async def named(hub: OperatorApi, name: str) -> str:
    """The node's name in its own spelling: texts and people write `rex` for `Rex`. Raises
    UsageError with the nearest one there is."""
    known = {node.name.lower(): node.name for node in (await hub.nodes()).nodes}
    if name.lower() in known:
        return known[name.lower()]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {known[near[0]]}?" if near else "mesh nodes lists them."
    raise click.UsageError(f"No node is called {plain(name)}: {hint}")


def _print(node: Node, said: str, as_json: bool) -> None:
    if as_json:
        print_json(node)
    else:
        click.echo(f"{node.name} {said}.")
