"""The table of commands: each entry exists, explains itself, and costs nothing until it runs."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from cli.__main__ import SECTIONS, mesh
from cli.lazy import LazyGroup

NAMES = sorted(name for entries in SECTIONS.values() for name in entries)

PRINTS_NO_DATA = {
    "up", "down", "restart", "demo", "completion", "restore", "resume", "logs", "config", "token",
    "install", "uninstall",
}  # fmt: skip
"""`logs --json` prints lines; groups have the option on their commands."""


def command(name: str) -> click.Command:
    found = mesh.get_command(click.Context(mesh), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_of_the_table_is_a_command_of_that_name_with_a_help(name: str) -> None:
    found = command(name)

    assert found.name == name
    assert found.help
    page = CliRunner().invoke(mesh, [name, "--help"])
    assert page.exit_code == 0
    assert "Usage: mesh" in page.output


@pytest.mark.parametrize("name", sorted(set(NAMES) - PRINTS_NO_DATA))
def test_whatever_prints_data_prints_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in command(name).params)


def test_every_verb_of_texts_and_screen_has_its_command() -> None:
    verbs = {
        "submit", "approve", "deny", "pending", "status", "ls", "show", "why", "nodes", "agents",
        "cost", "cancel", "hold", "go", "drain", "undrain", "reset", "retry",
    }  # fmt: skip

    assert verbs <= set(NAMES)


def test_a_wrong_word_is_answered_with_the_nearest_command() -> None:
    result = CliRunner().invoke(mesh, ["stauts"])

    assert result.exit_code == 2
    assert "Did you mean: mesh status?" in result.output


def test_the_help_page_loads_no_command() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from cli.__main__ import mesh; "
        "CliRunner().invoke(mesh, ['--help']); "
        "print([m for m in ('httpx', 'rich.console', 'cli.commands.demo') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_an_entry_that_is_no_command_is_refused() -> None:
    from cli.lazy import Entry

    group = LazyGroup(name="g", sections={"S": {"x": Entry("cli.lazy:Entry", "no command")}})

    with pytest.raises(TypeError, match="is not a command"):
        group.get_command(click.Context(group), "x")
