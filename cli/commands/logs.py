"""`mesh logs`: what the daemons of this machine wrote, in one sequence."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click

from cli.errors import CliError
from cli.output import plain
from cli.parent.log_files import log_file, old_logs
from cli.parent.log_lines import LogLine
from cli.parent.plan import DAEMONS
from cli.session import Session, pass_session

FOLLOW_EVERY_S = 0.3
SOURCES = ("parent", *DAEMONS)
_COLOURS = {"warning": "yellow", "error": "red", "critical": "red"}


@click.command()
@click.argument("daemons", nargs=-1, type=click.Choice(SOURCES))
@click.option("-f", "--follow", is_flag=True, help="Go on as they write; Ctrl-C ends it.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The lines as they were written.")
@pass_session
def logs(
    session: Session, daemons: tuple[str, ...], follow: bool, lines: int, as_json: bool
) -> None:
    """Show the logs of this machine's daemons; without names, of all.

    They hold no message, no prompt and no token.

    \b
    Examples:
      mesh logs -f
      mesh logs imsgd -n 200
    """
    names = daemons or SOURCES
    folder = session.paths.logs_dir
    files = {name: log_file(folder, name) for name in names}
    if not follow and not any(file.exists() for file in files.values()):
        raise CliError(f"there are no logs in {folder}: nothing was started by mesh up.")
    ends = {name: _size(file) for name, file in files.items()}
    for name, text in _last(files, lines):
        _print(name, text, as_json)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(files, ends, as_json)


def _last(files: dict[str, Path], count: int) -> Sequence[tuple[str, str]]:
    """The newest lines of all files, by time; lines without one stay with their predecessor."""
    streams = [_timed(name, file, count) for name, file in files.items()]
    merged = [(name, text) for _, name, text in heapq.merge(*streams, key=lambda line: line[0])]
    return merged[-count:] if count else []


def _timed(name: str, file: Path, count: int) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    at = ""
    for text in _tail([*old_logs(file), file], count):
        at = LogLine.parse(text).at or at
        found.append((at, name, text))
    return found


def _tail(parts: Iterable[Path], count: int) -> list[str]:
    lines: list[str] = []
    for part in reversed(list(parts)):
        if len(lines) >= count:
            break
        if part.exists():
            lines = part.read_text(encoding="utf-8", errors="replace").splitlines() + lines
    return lines[-count:] if count else []


def _follow(files: dict[str, Path], ends: dict[str, int], as_json: bool) -> None:
    rests = dict.fromkeys(files, b"")
    while True:
        for name, file in files.items():
            ends[name], rests[name], lines = _grown(file, ends[name], rests[name])
            for line in lines:
                _print(name, line, as_json)
        time.sleep(FOLLOW_EVERY_S)


def _grown(file: Path, end: int, rest: bytes) -> tuple[int, bytes, Iterator[str]]:
    """The lines since `end`, with `rest` the beginning of an unfinished one."""
    size = _size(file)
    if size < end:  # it was turned over
        end, rest = 0, b""
    if size == end:
        return end, rest, iter(())
    with file.open("rb") as log:
        log.seek(end)
        *whole, rest = (rest + log.read(size - end)).split(b"\n")
    return size, rest, (line.decode(errors="replace") for line in whole)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _print(name: str, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(text)
        return
    line = LogLine.parse(text)
    clock = line.at[11:23] or " " * 12
    extra = " ".join(f"{key}={_short(value)}" for key, value in line.extra.items())
    shown = f"{clock} {name:7} {plain(line.event)} {plain(extra)}".rstrip()
    click.secho(shown, fg=_COLOURS.get(line.level))
    if line.traceback:
        click.echo(plain(line.traceback))


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
