"""`mesh hold` and `mesh go`."""

from __future__ import annotations

import click

from cli.output import json_option, plain, print_json
from cli.session import Session, pass_session
from common.wire.admin import Hold, SetHold


@click.command()
@click.argument("reason", nargs=-1)
@json_option
@pass_session
def hold(session: Session, reason: tuple[str, ...], as_json: bool) -> None:
    """Start nothing new anywhere; what runs goes on.

    \b
    Example: mesh hold moving house
    """
    _set(session, SetHold(on=True, reason=" ".join(reason) or None), as_json)


@click.command()
@json_option
@pass_session
def go(session: Session, as_json: bool) -> None:
    """Start again what waits."""
    _set(session, SetHold(on=False), as_json)


def _set(session: Session, wanted: SetHold, as_json: bool) -> None:
    found: Hold = session.ask_hub(lambda hub: hub.hold(wanted))
    if as_json:
        print_json(found)
        return
    reason = f" ({plain(found.reason)})" if found.reason else ""
    said = f"On hold{reason}: nothing new starts. mesh go ends it." if found.on else "Going on."
    click.echo(said)
