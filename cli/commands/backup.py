"""`mesh backup` and `mesh restore`: the hub's own tools, and the daemon out of the way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from cli.commands.up import described, settle
from cli.errors import CliError
from cli.output import json_option, print_json, print_table
from cli.parent import control
from cli.parent.plan import HUBD
from cli.parent.record import living_parent, lock_holder
from cli.programs import program, run_tool
from cli.session import Session, pass_session


@click.command()
@click.option("--list", "listed", is_flag=True, help="List the backups, newest first.")
@json_option
@pass_session
def backup(session: Session, listed: bool, as_json: bool) -> None:
    """Back the hub's database up now, while it runs; the hub itself does so every hour.

    \b
    Examples:
      mesh backup
      mesh backup --list
    """
    if not listed:
        made = run_tool(program("hubd", "backup"), session.env, what="mesh-hubd backup").strip()
        if as_json:
            print_json({"file": made})
        else:
            click.echo(made)
        return
    found = backups(session.paths.backups_dir)
    if as_json:
        print_json([{"file": str(file), "bytes": file.stat().st_size} for file in found])
    elif not found:
        click.echo("There is no backup yet. Make one: mesh backup")
    else:
        print_table(["MADE (UTC)", ">KB", "FILE"], [_row(file) for file in found])


def backups(folder: Path) -> list[Path]:
    """The backups, newest first."""
    return sorted(folder.glob("hub-*.db"), key=lambda file: file.stat().st_mtime, reverse=True)


def _row(file: Path) -> tuple[str, str, str]:
    info = file.stat()
    made = datetime.fromtimestamp(info.st_mtime, UTC)
    return (f"{made:%Y-%m-%d %H:%M:%S}", str(info.st_size // 1024), str(file))


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def restore(session: Session, file: Path | None, yes: bool) -> None:
    """Put a backup (the newest, if no FILE is named) in the place of the hub's database.

    The hub is stopped for it and started again; the database it replaces is kept beside it.
    What nodes still run from before is told to stop: its leases are stale.

    \b
    Example: mesh restore ~/.local/state/mesh/backups/hub-20261124T010000Z.db
    """
    chosen = file or next(iter(backups(session.paths.backups_dir)), None)
    if chosen is None:
        raise CliError(f"there is no backup in {session.paths.backups_dir}. Name a FILE.")
    if not chosen.is_file():
        raise CliError(f"{chosen} does not exist. mesh backup --list shows those there are.")
    if not yes:
        click.confirm(f"Replace the hub's database by {chosen}?", abort=True, err=True)
    was_running = _stop_hub(session)
    try:
        run_tool(program("hubd", "restore", str(chosen)), session.env, what="mesh-hubd restore")
        click.echo(f"Restored {chosen}.")
    finally:
        asked_at = session.clock.now()
        if was_running:
            control.wish(session.paths, [HUBD], run=True)
            control.tell(session.paths, control.LOOK)
    if was_running:
        found = settle(session, [HUBD], asked_at)
        click.echo(described(HUBD, found[HUBD]))


def _stop_hub(session: Session) -> bool:
    """Stop a hub that mesh up started; whether there was one. CliError for any other."""
    paths = session.paths
    record = living_parent(paths)
    holder = lock_holder(paths.lock_file(HUBD))
    if holder is None:
        return False
    known = record.daemons.get(HUBD) if record else None
    if known is None or known.state == "elsewhere":
        raise CliError(f"the hub runs (pid {holder.pid}) but not by mesh up: stop it first.")
    control.wish(paths, [HUBD], run=False)
    control.stop_some(paths, [HUBD], hurry=False, waiting=lambda: None)
    return True
