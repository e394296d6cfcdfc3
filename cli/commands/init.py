"""`mesh init`."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.errors import CliError
from cli.output import json_option, print_json
from cli.session import Session, pass_session
from cli.setup.choices import Choices, Given, changes, check, tables
from cli.setup.edit import set_values
from cli.setup.tokens import issue_missing
from cli.setup.toml_file import render
from common.config import Config, load_config
from common.names import default_node_name
from common.paths import MeshPaths, make_private_dir, write_private_file

DEFAULT_SLOTS = 2
DEFAULT_BIND = "127.0.0.1:8420"
RUNNERS = ("claude", "command", "codex", "rehearsal")


@click.command()
@click.option("--yes", is_flag=True, help="Take the defaults and ask nothing.")
@click.option("--hub/--no-hub", default=None, help="Run the hub here.  [default: yes]")
@click.option("--hub-url", help="Where the hub is, when it is not here.")
@click.option("--bind", help=f"Where it listens.  [default: {DEFAULT_BIND}]")
@click.option("--agent/--no-agent", default=None, help="Run tasks here.  [default: yes]")
@click.option("--name", help="This node's name.  [default: the host's]")
@click.option("--slots", type=click.IntRange(1, 256), help="How many tasks at once.  [default: 2]")
@click.option("--runner", type=click.Choice(RUNNERS), help="What runs a task.  [default: claude]")
@click.option("--bridge/--no-bridge", default=None, help="Carry texts.  [default: with --allow]")
@click.option("--allow", multiple=True, help="A number or Apple ID that may text; repeatable.")
@click.option(
    "--self", "self_handles", multiple=True, help="Your own, if you text yourself; repeatable."
)
@json_option
@pass_session
def init(session: Session, /, yes: bool, as_json: bool, **options: Any) -> None:
    """Write this machine's configuration, its folders and its tokens.

    Run again it adds what is missing and changes what the options say, nothing else.

    \b
    Examples:
      mesh init                                    asks
      mesh init --yes --allow +15551234567         hub, agent and bridge on this Mac
      mesh init --yes --no-agent                   a hub alone
      mesh init --yes --self +15551234567          later: also hear what you text yourself
    """
    given, paths = Given(**options), session.paths
    asked = not yes and not paths.config_file.exists() and sys.stdin.isatty()
    written: list[Path] = []
    changed: dict[str, dict[str, Any]] = {}
    if not paths.config_file.exists():
        written.append(_write_config(paths, _with_handles(_choose(given, asked), asked)))
    elif changed := changes(given, load_config(session.env).config):
        _change_config(paths, changed)
    config = load_config(session.env).config
    make_private_dir(paths.state_dir)
    make_private_dir(paths.logs_dir)
    if config.hub.run:
        written += issue_missing(session.env, paths, config)
    names = [f"{table}.{key}" for table, keys in changed.items() for key in keys]
    _report(paths, config, written, names, as_json)


def _choose(given: Given, asked: bool) -> Choices:
    texts = bool(given.allow or given.self_handles)
    return Choices(
        hub=_decide(given.hub, not given.hub_url, "Run the hub on this machine?", asked),
        agent=_decide(given.agent, True, "Run tasks on this machine?", asked),
        bridge=_decide(given.bridge, texts, "Carry iMessages from this machine?", asked),
        name=given.name or _ask("Name of this node", default_node_name(), asked),
        slots=given.slots or _ask_slots(asked),
        runner=given.runner or "claude",
        bind=given.bind or DEFAULT_BIND,
        hub_url=given.hub_url or "",
        allow=given.allow,
        self_handles=given.self_handles,
    )


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


def _change_config(paths: MeshPaths, changed: dict[str, dict[str, Any]]) -> None:
    text = set_values(paths.config_file.read_text("utf-8"), changed)
    try:
        msgspec.convert(tomllib.loads(text), Config)
    except msgspec.ValidationError as error:
        raise CliError(f"{paths.config_file} stays as it was: {error}") from None
    write_private_file(paths.config_file, text)


def _report(
    paths: MeshPaths, config: Config, written: list[Path], changed: list[str], as_json: bool
) -> None:
    if as_json:
        files = [str(file) for file in written]
        print_json({"written": files, "changed": changed, "state": str(paths.state_dir)})
        return
    if changed:
        click.echo(f"changed {', '.join(changed)} in {paths.config_file}")
        click.echo("What runs already takes that over with: mesh restart")
    elif not written:
        click.echo(f"Everything is there; nothing changed. ({paths.config_file})")
        return
    for file in written:
        click.echo(f"wrote {file}")
    if changed:
        return
    if config.hub.run and not config.bridge.run:
        click.echo(
            "Texts are off: on the Mac that is signed in to Messages put your number into "
            "bridge.allow and set bridge.run = true."
        )
    if not config.hub.run:
        click.echo("This machine has no token yet: on the hub run mesh invite, here mesh join.")
        return
    click.echo("Next: mesh up, then mesh-tui or mesh submit --wait hello")
