"""`mesh version`."""

from __future__ import annotations

import platform
from typing import Any

import click

from cli.output import json_option, print_json
from cli.session import Session, pass_session
from common.errors import MeshError
from common.version import PROTOCOL, VERSION


@click.command()
@json_option
@pass_session
def version(session: Session, as_json: bool) -> None:
    """Print the versions of this program, of Python and of the hub, if that answers."""
    found: dict[str, Any] = {
        "version": VERSION,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "hub": _hub_version(session),
    }
    if as_json:
        print_json(found)
        return
    click.echo(f"mesh {VERSION} (protocol {PROTOCOL}, Python {found['python']})")
    click.echo(f"hub  {found['hub'] or 'not known: it does not answer, or not to this machine'}")


def _hub_version(session: Session) -> str | None:
    try:
        snapshot = session.ask_hub(lambda hub: hub.snapshot(), timeout_s=2.0)
    except MeshError:
        return None
    return snapshot.hub.version
