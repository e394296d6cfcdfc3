"""Printing: tables and lines for people, JSON for programs. Foreign text is never markup."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from common.clock import to_epoch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

# Control characters (escape sequences live on them), zero-width characters, direction marks.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def plain(text: str) -> str:
    """Foreign text that can neither steer the terminal nor hide what it says."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def first_line(text: str, width: int = 60) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def print_json(record: object) -> None:
    """One JSON document; wire structs keep their field names and times."""
    builtins = msgspec.to_builtins(record)
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    click.echo(json.dumps(builtins, ensure_ascii=encoding != "utf8", indent=2))


def console(*, stderr: bool = False) -> Console:
    """A console on the stream of the moment, without emoji codes, highlighting or markup."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    found = Console(file=stream, emoji=False, highlight=False, markup=False, soft_wrap=False)
    if not found.is_terminal:
        found.width = 200  # a pipe must not be cut at 80 columns
    return found


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """A table without lines; a heading that starts with `>` is set to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        right = heading.startswith(">")
        last = number == len(headings) - 1
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if last and not right else None,
        )
    for row in rows:
        table.add_row(*(Text(plain(cell)) if isinstance(cell, str) else cell for cell in row))
    console().print(table)


def age(since: datetime | None, now: float) -> str:
    """`8s`, `6m`, `3h`, `2d`; a dash for never."""
    return "-" if since is None else span(now - to_epoch(since))


def span(seconds: float) -> str:
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600}h"


def dollars(usd: float | None) -> str:
    if usd is None:
        return "-"
    return f"${usd:.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.4f}"


def compact(number: int) -> str:
    """`812`, `12.3k`, `4.1M`."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"
