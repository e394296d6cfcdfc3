"""`mesh config show` and `mesh config check`."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from cli.output import json_option, print_json, print_table
from cli.session import Session, pass_session
from common.config import Origin

# Environment given to runners may hold keys; their names are shown, their values are not.
HIDDEN = "…"


@click.group()
def config() -> None:
    """Show the configuration, or check it."""


@config.command("show")
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@json_option
@pass_session
def show(session: Session, origin: bool, changed: bool, as_json: bool) -> None:
    """Print the effective values: defaults, mesh.toml, environment.

    \b
    Example: mesh config show --origin --changed
    """
    origins = [o for o in session.loaded.origins if not changed or o.source != "default"]
    if as_json:
        print_json(
            [{"key": f"{o.table}.{o.key}", "value": _shown(o), "source": o.source} for o in origins]
        )
        return
    headings = ["KEY", "FROM", "VALUE"] if origin else ["KEY", "VALUE"]
    rows = [
        (f"{o.table}.{o.key}", *([o.source] if origin else []), _written(_shown(o)))
        for o in origins
    ]
    print_table(headings, rows)
    click.echo(f"\n{session.paths.config_file}", err=True)


@config.command("check")
@json_option
@pass_session
def check(session: Session, as_json: bool) -> None:
    """Check mesh.toml and the environment; exit 78 and one sentence if they are wrong."""
    loaded = session.loaded
    file = loaded.paths.config_file
    overrides = sorted({o.source for o in loaded.origins} - {"default", file.name})
    if as_json:
        print_json({"ok": True, "file": str(file), "exists": file.exists(), "from": overrides})
        return
    click.echo(f"{file} is good." if file.exists() else f"No {file}: the defaults apply.")
    if overrides:
        click.echo(f"Overridden by {', '.join(overrides)}.")


def _shown(origin: Origin) -> Any:
    value = msgspec.to_builtins(origin.value)
    if (origin.table, origin.key) == ("agent", "env"):
        return dict.fromkeys(value, HIDDEN)
    return value


def _written(value: Any) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
