"""`mesh doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from cli.doctor.examine import examine
from cli.doctor.facts import Here
from cli.doctor.finding import Finding, Mark
from cli.doctor.fleet import examine_nodes
from cli.doctor.mend import mend
from cli.doctor.table import CHECKS, Check
from cli.output import json_option, plain, print_json
from cli.session import Session, pass_session
from common.errors import EXIT_FAILED, EXIT_OK, ConfigError

MARKS = {Mark.OK: "✓", Mark.WARN: "!", Mark.FAIL: "✗", Mark.SKIP: "·"}
COLOURS = {Mark.OK: "green", Mark.WARN: "yellow", Mark.FAIL: "red", Mark.SKIP: "bright_black"}


@click.command()
@click.option("--only", multiple=True, metavar="ID", help="Only this check; repeatable.")
@click.option("--list", "only_list", is_flag=True, help="List the checks.")
@click.option("--deep", is_flag=True, help="Also what takes longer: reads the whole database.")
@click.option("--fix", is_flag=True, help="Mend permissions and stale locks; nothing else.")
@click.option("--fleet", is_flag=True, help="Ask every node, by what it reports to the hub.")
@json_option
@pass_session
def doctor(
    session: Session,
    only: tuple[str, ...],
    only_list: bool,
    deep: bool,
    fix: bool,
    fleet: bool,
    as_json: bool,
) -> int:
    """Find out what is wrong, and say how to mend it.

    One line a check: ✓ good, ! not as it should be, ✗ broken, · nothing to look at; then the
    command that mends it. Works without the hub. Exit code 1 when something is broken.

    \b
    Examples:
      mesh doctor
      mesh doctor --only chat-db --only automation
      mesh doctor --fleet --json
    """
    if only_list:
        _print_list(as_json)
        return EXIT_OK
    here = _look_around(session)
    done = mend(here) if fix else []
    findings = _ask_fleet(session) if fleet else examine(_chosen(only, deep=deep), here)
    if as_json:
        print_json({"ok": not _failed(findings), "fixed": done, "findings": _records(findings)})
    else:
        _print(findings, done)
    return EXIT_FAILED if _failed(findings) else EXIT_OK


def _look_around(session: Session) -> Here:
    try:
        return Here(session.env, session.paths, session.loaded.config)
    except ConfigError as error:
        return Here(session.env, session.paths, None, error.message)


def _chosen(only: Sequence[str], *, deep: bool) -> list[Check]:
    known = {check.id: check for check in CHECKS}
    for name in only:
        if name not in known:
            raise click.UsageError(f"There is no check {name!r}. mesh doctor --list names them.")
    if only:
        return [known[name] for name in dict.fromkeys(only)]
    return [check for check in CHECKS if deep or not check.deep]


def _ask_fleet(session: Session) -> list[Finding]:
    found = session.ask_hub(lambda hub: hub.nodes())
    return examine_nodes(found.nodes)


def _failed(findings: Sequence[Finding]) -> bool:
    return any(finding.mark is Mark.FAIL for finding in findings)


def _records(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [
        {
            "id": finding.id,
            "mark": finding.mark.value,
            "fact": finding.fact,
            "remedy": finding.remedy,
            **({"node": finding.node} if finding.node else {}),
        }
        for finding in findings
    ]


def _print(findings: Sequence[Finding], done: Sequence[str]) -> None:
    for line in done:
        click.echo(f"mended: {line}")
    if not findings:
        click.echo("Nothing to look at.")
        return
    names = [f"{f.node}/{f.id}" if f.node else f.id for f in findings]
    width = max(len(name) for name in names)
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for name, finding in zip(names, findings, strict=True):
        mark = MARKS[finding.mark]
        shown = click.style(mark, fg=COLOURS[finding.mark]) if coloured else mark
        remedy = f"  → {_one_line(finding.remedy)}" if finding.remedy else ""
        click.echo(f"{shown} {name:<{width}}  {_one_line(finding.fact)}{remedy}")
    _print_sum(findings)


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())


def _print_sum(findings: Sequence[Finding]) -> None:
    failed = sum(finding.mark is Mark.FAIL for finding in findings)
    warned = sum(finding.mark is Mark.WARN for finding in findings)
    if failed or warned:
        click.echo(f"\n{failed} broken, {warned} not as it should be.")
    else:
        click.echo("\nAll is well.")


def _print_list(as_json: bool) -> None:
    if as_json:
        print_json([{"id": c.id, "what": c.what, "deep": c.deep} for c in CHECKS])
        return
    width = max(len(check.id) for check in CHECKS)
    for check in CHECKS:
        click.echo(f"{check.id:<{width}}  {check.what}{' (--deep)' if check.deep else ''}")
