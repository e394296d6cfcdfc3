"""A command group that imports a command's module only when it runs.

`mesh` starts often (every login shell may call it), so `--help` and completion must not load
what a single command needs.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives (`module:attribute`) and what the list of commands says of it."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """`sections` maps a heading to its commands, in the order in which they are shown."""

    def __init__(self, *, sections: dict[str, dict[str, Entry]], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._sections = sections
        self._entries = {
            name: entry for section in sections.values() for name, entry in section.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._entries and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self._entries, n=1)
            hint = f" Did you mean: mesh {near[0]}?" if near else " mesh --help lists them."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, entries in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])
