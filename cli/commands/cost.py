"""`mesh cost`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from cli.output import compact, dollars, json_option, print_json, print_table
from cli.session import Session, pass_session
from common.costs import cost_words
from common.wire.admin import CostRow

GROUPS = ("task", "day", "node", "specialist", "model", "conversation")


@click.command()
@click.argument("period", default="today", metavar="[today|week|month|all]")
@click.option("--by", type=click.Choice(GROUPS), default="model", show_default=True)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="From this day on (UTC).")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Before this day (UTC).")
@json_option
@pass_session
def cost(
    session: Session,
    period: str,
    by: str,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Say what the mesh cost, and in which tokens.

    \b
    Examples:
      mesh cost
      mesh cost week --by day
      mesh cost all --by specialist --json
    """
    start = since.replace(tzinfo=UTC) if since else None
    end = until.replace(tzinfo=UTC) if until else None
    days = _days(period) if since is None else None
    found = session.ask_hub(lambda hub: hub.costs(by, since=start, until=end, days=days))
    if as_json:
        print_json(found)
        return
    if not found.total.attempts:
        click.echo("Nothing ran in that time.")
        return
    print_table(
        [by.upper(), ">COST", ">RUNS", ">IN", ">CACHED", ">OUT"],
        [_row(row) for row in found.rows] + [_row(found.total, "total")],
    )
    if unknown := found.total.unknown_cost_attempts:
        runs = "1 run" if unknown == 1 else f"{unknown} runs"
        click.echo(f"The cost of {runs}, or part of it, is unknown and in no sum.")


def _days(period: str) -> int | None:
    """The days of a period, today included: the hub knows where they begin."""
    match period:
        case "today":
            return 1
        case "week":
            return 7
        case "month":
            return 30
        case "all":
            return None
        case _:
            raise click.UsageError(f"{period!r} is no period: say today, week, month or all.")


def _row(row: CostRow, key: str | None = None) -> tuple[str, ...]:
    return (
        key or row.key or "general",
        cost_words(row.cost_usd, row.unknown_cost_attempts, dollars),
        str(row.attempts),
        compact(row.input_tokens + row.cache_write_tokens),
        compact(row.cache_read_tokens),
        compact(row.output_tokens),
    )
