"""`mesh init`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from cli.output import json_option, print_json
from cli.session import Session, pass_session
from cli.setup.choices import Choices, check, tables
from cli.setup.tokens import issue_missing
from cli.setup.toml_file import render
from common.config import Config, load_config
from common.names import default_node_name
from common.paths import MeshPaths, make_private_dir, write_private_file

DEFAULT_SLOTS = 2


@click.command()
@click.option("--yes", is_flag=True, help="Take the defaults and ask nothing.")
@click.option("--hub/--no-hub", default=None, help="Run the hub here.  [default: yes]")
@click.option("--hub-url", default="", help="Where the hub is, when it is not here.")
@click.option("--bind", default="127.0.0.1:8420", show_default=True, help="Where it listens.")
@click.option("--agent/--no-agent", default=None, help="Run tasks here.  [default: yes]")
@click.option("--name", help="This node's name.  [default: the host's]")
@click.option("--slots", type=click.IntRange(1, 256), help="How many tasks at once.  [default: 2]")
@click.option("--runner", default="claude", show_default=True, help="What runs a task.")
@click.option("--bridge/--no-bridge", default=None, help="Carry texts.  [default: with --allow]")
@click.option("--allow", multiple=True, help="A number or Apple ID that may text; repeatable.")
@click.option("--self", "own", multiple=True, help="Your own, if you text yourself; repeatable.")
@json_option
@pass_session
def init(
    session: Session,
    yes: bool,
    hub: bool | None,
    hub_url: str,
    bind: str,
    agent: bool | None,
    name: str | None,
    slots: int | None,
    runner: str,
    bridge: bool | None,
    allow: tuple[str, ...],
    own: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write this machine's configuration, its folders and its tokens.

    Run again it changes nothing that is there and adds what is missing.

    \b
    Examples:
      mesh init                                    asks
      mesh init --yes --allow +15551234567         hub, agent and bridge on this Mac
      mesh init --yes --no-agent                   a hub alone
    """
    paths = session.paths
    asked = not yes and not paths.config_file.exists() and sys.stdin.isatty()
    written: list[Path] = []
    if not paths.config_file.exists():
        choices = Choices(
            hub=_decide(hub, not hub_url, "Run the hub on this machine?", asked),
            agent=_decide(agent, True, "Run tasks on this machine?", asked),
            bridge=_decide(bridge, bool(allow or own), "Carry iMessages from this machine?", asked),
            name=name or _ask("Name of this node", default_node_name(), asked),
            slots=slots or _ask_slots(asked),
            runner=runner,
            bind=bind,
            hub_url=hub_url,
            allow=allow,
            self_handles=own,
        )
        written.append(_write_config(paths, _with_handles(choices, asked)))
    config = load_config(session.env).config
    make_private_dir(paths.state_dir)
    make_private_dir(paths.logs_dir)
    if config.hub.run:
        written += issue_missing(session.env, paths, config)
    _report(paths, config, written, as_json)


def _decide(given: bool | None, default: bool, question: str, asked: bool) -> bool:
    if given is not None:
        return given
    return click.confirm(question, default=default, err=True) if asked else default


def _ask(question: str, default: str, asked: bool) -> str:
    return str(click.prompt(question, default=default, err=True)) if asked else default


def _ask_slots(asked: bool) -> int:
    if not asked:
        return DEFAULT_SLOTS
    kind = click.IntRange(1, 256)
    return int(click.prompt("How many tasks at once", DEFAULT_SLOTS, type=kind, err=True))


def _with_handles(choices: Choices, asked: bool) -> Choices:
    """The choices, with a handle asked for when the bridge has none."""
    if not asked or not choices.bridge or choices.allow or choices.self_handles:
        return choices
    handle = str(click.prompt("Your iPhone's number or Apple ID, +15551234567", err=True))
    return replace(choices, allow=(handle.strip(),))


def _write_config(paths: MeshPaths, choices: Choices) -> Path:
    check(choices)
    make_private_dir(paths.config_dir)
    write_private_file(paths.config_file, render(tables(choices)))
    return paths.config_file


def _report(paths: MeshPaths, config: Config, written: list[Path], as_json: bool) -> None:
    if as_json:
        print_json({"written": [str(file) for file in written], "state": str(paths.state_dir)})
        return
    if not written:
        click.echo(f"Everything is there; nothing changed. ({paths.config_file})")
        return
    for file in written:
        click.echo(f"wrote {file}")
    if config.hub.run and not config.bridge.run:
        click.echo(
            "Texts are off: on the Mac that is signed in to Messages put your number into "
            "bridge.allow and set bridge.run = true."
        )
    if not config.hub.run:
        click.echo("This machine has no token yet: on the hub run mesh invite, here mesh join.")
        return
    click.echo("Next: mesh up, then mesh-tui or mesh submit --wait hello")
