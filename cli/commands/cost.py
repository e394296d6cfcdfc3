"""`mesh cost`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from cli.output import compact, dollars, json_option, print_json, print_table
from cli.session import Session, pass_session
from common.clock import to_datetime
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
    start = since.replace(tzinfo=UTC) if since else _start(period, session.clock.now())
    end = until.replace(tzinfo=UTC) if until else None
    found = session.ask_hub(lambda hub: hub.costs(by, since=start, until=end))
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
    if found.total.unknown_cost_attempts:
        click.echo(f"{found.total.unknown_cost_attempts} runs of unknown cost are not in the sum.")


def _start(period: str, now: float) -> datetime | None:
    """The first moment of the period; days begin at midnight UTC, as in the hub's sums."""
    today = to_datetime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "today":
            return today
        case "week":
            return today - timedelta(days=6)
        case "month":
            return today - timedelta(days=29)
        case "all":
            return None
        case _:
            raise click.UsageError(f"{period!r} is no period: say today, week, month or all.")


def _row(row: CostRow, key: str | None = None) -> tuple[str, ...]:
    return (
        key or row.key or "general",
        dollars(row.cost_usd),
        str(row.attempts),
        compact(row.input_tokens + row.cache_write_tokens),
        compact(row.cache_read_tokens),
        compact(row.output_tokens),
    )
