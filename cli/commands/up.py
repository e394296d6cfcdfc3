"""`mesh up`, `down`, `restart`."""

from __future__ import annotations

import time
from collections.abc import Collection

import click

from cli.errors import CliError
from cli.parent import control
from cli.parent.plan import DAEMONS, chosen, plan
from cli.parent.record import DaemonRecord
from cli.parent.wishes import stopped
from cli.session import Session, pass_session
from common.errors import EXIT_FAILED, EXIT_OK

SETTLE_S = 30.0
SAY_AFTER_S = 2.0


@click.command()
@click.argument("daemons", nargs=-1)
@click.option("--quiet", is_flag=True, help="Say nothing; leave stopped what was stopped by hand.")
@pass_session
def up(session: Session, daemons: tuple[str, ...], quiet: bool) -> int:
    """Start what this machine runs (hubd, agentd, imsgd by its configuration), in the background.

    Started daemons outlive the terminal, and are started again when they crash. What runs
    already is left alone.

    \b
    Examples:
      mesh up
      mesh up imsgd
    """
    loaded, paths = session.loaded, session.paths
    wanted = plan(loaded)
    names = chosen(daemons, wanted)
    if quiet:
        if not {daemon.name for daemon in wanted} <= stopped(paths):
            control.ensure_parent(paths, session.env)
        return EXIT_OK
    asked_at = session.clock.now()
    control.wish(paths, names, run=True)
    if not control.ensure_parent(paths, session.env):
        control.tell(paths, control.LOOK)
    return _report(settle(session, names, asked_at))


def settle(session: Session, names: Collection[str], asked_at: float) -> dict[str, DaemonRecord]:
    """What became of the daemons that were asked to run at `asked_at` (epoch)."""
    ends_at = time.monotonic() + SETTLE_S
    while time.monotonic() < ends_at:
        now = session.clock.now()
        if found := control.settled(session.paths, names, asked_at=asked_at, now=now):
            return found
        time.sleep(control.STEP_S)
    raise CliError("the daemons did not settle. See: mesh status, mesh logs")


def _report(records: dict[str, DaemonRecord]) -> int:
    for name, record in records.items():
        click.echo(described(name, record))
    well = all(record.state in ("running", "elsewhere") for record in records.values())
    return EXIT_OK if well else EXIT_FAILED


def described(name: str, record: DaemonRecord) -> str:
    """One daemon in one line."""
    pid = f" (pid {record.process.pid})" if record.process else ""
    match record.state:
        case "running":
            return f"{name} runs{pid}"
        case "starting":
            return f"{name} is starting{pid}"
        case "elsewhere":
            return f"{name} runs{pid}, but was not started by mesh up"
        case "stopping":
            return f"{name} is stopping{pid}"
        case "stopped":
            return f"{name} is stopped. mesh up {name} starts it"
        case "down":
            return f"{name} does not run. mesh up starts it"
        case _:
            return f"{name} does not run: {record.error or 'it ended'}"


@click.command()
@click.argument("daemons", nargs=-1)
@click.option("--now", is_flag=True, help="End running work instead of letting it finish.")
@pass_session
def down(session: Session, daemons: tuple[str, ...], now: bool) -> None:
    """Stop what mesh up started, and nothing else. It stays so until mesh up, or a reboot.

    An agent first finishes its running tasks, at most agent.drain_s seconds; --now does not
    wait for that (the tasks go back into the queue).

    \b
    Examples:
      mesh down
      mesh down --now agentd
    """
    paths, waiting = session.paths, _Patience()
    if daemons:
        names = chosen(daemons, plan(session.loaded))
        control.wish(paths, names, run=False)
        ran = control.stop_some(paths, names, hurry=now, waiting=waiting)
    else:
        control.wish(paths, DAEMONS, run=False)
        ran = control.stop_all(paths, hurry=now, waiting=waiting)
    click.echo(f"Stopped {', '.join(ran)}." if ran else "Nothing of it ran.")


class _Patience:
    """Called while something stops: says once why it takes so long."""

    def __init__(self) -> None:
        self._begun_at = time.monotonic()
        self._said = False

    def __call__(self) -> None:
        if not self._said and time.monotonic() - self._begun_at > SAY_AFTER_S:
            self._said = True
            click.echo("Running tasks finish first. Ctrl-C leaves them to it.", err=True)
            click.echo("To end them: mesh down --now", err=True)


@click.command()
@click.argument("daemons", nargs=-1)
@click.option("--now", is_flag=True, help="End running work instead of letting it finish.")
@pass_session
def restart(session: Session, daemons: tuple[str, ...], now: bool) -> int:
    """Stop and start everything, or some daemons of it; the others run on.

    What is started again has the rights of this terminal: after granting Full Disk Access open a
    new window and run: mesh restart imsgd

    \b
    Examples:
      mesh restart
      mesh restart imsgd
    """
    paths = session.paths
    names = chosen(daemons, plan(session.loaded))
    waiting = _Patience()
    control.wish(paths, names, run=False)
    if daemons:
        control.stop_some(paths, names, hurry=now, waiting=waiting)
    else:
        control.stop_all(paths, hurry=now, waiting=waiting)
    asked_at = session.clock.now()
    control.wish(paths, names, run=True)
    control.replace_parent(paths, session.env)
    return _report(settle(session, names, asked_at))
