"""What the pages in docs/ name exists: tests, files, commands, checks."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from cli.__main__ import SECTIONS, mesh
from cli.doctor.table import CHECKS

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/DEPLOY.md", "docs/TROUBLESHOOTING.md", "docs/REPORT.md")


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def test_every_test_the_report_relies_on_exists() -> None:
    sources = [file for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)]
    defined = {file.name.removesuffix(".py") for file in sources}
    for file in sources:
        defined |= set(re.findall(r"def (test_\w+)\(", file.read_text("utf-8")))
    named = set(re.findall(r"`(?:\w+/)*(test_\w+)(?:\.py)?`", read("docs/REPORT.md")))
    assert len(named) > 40
    assert named <= defined, named - defined


def test_every_part_of_the_code_the_report_points_at_exists() -> None:
    pointed = re.findall(
        r"`((?:hubd|agentd|imsgd|common|cli|tests|docs|deploy)/[\w/.]+)`", read("docs/REPORT.md")
    )
    assert len(pointed) > 20
    for name in pointed:
        path = ROOT / name
        module, _, attribute = name.rpartition(".")
        file = ROOT / f"{module}.py"
        found = path.exists() or path.with_suffix(".py").exists()
        if not found:
            text = file.read_text("utf-8")
            assert re.search(rf"^\s*(?:async )?(?:def |class )?{attribute}\b", text, re.M), name


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_a_page_prints_is_one(page: str) -> None:
    context = click.Context(mesh)
    commands = {name for section in SECTIONS.values() for name in section}
    used = re.findall(
        r"^(?:.*/bin/|.*&& )?mesh ([a-z]+)([^\n`#|]*)|`mesh ([a-z]+)([^`\n]*)`", read(page), re.M
    )
    assert used
    for first, rest_of_line, second, rest_of_span in used:
        name, words = first or second, (rest_of_line or rest_of_span).split()
        assert name in commands, (page, name)
        command = mesh.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            if not words or words[0].startswith("-"):
                continue
            command = command.get_command(context, words.pop(0))
            assert command is not None, (page, name)
        options = {option for param in command.params for option in param.opts}
        options |= {option for param in command.params for option in param.secondary_opts}
        for word in words:
            if word in {"&&", ";"}:
                break
            if word.startswith("-") and word != "--help":
                assert word.rstrip(";,.)") in options, (page, name, word)


def test_every_check_a_page_names_is_one() -> None:
    ids = {check.id for check in CHECKS}
    named = {name for page in PAGES for name in re.findall(r"doctor --only ([a-z-]+)", read(page))}
    assert named
    assert named <= ids
    shown = set(re.findall(r"^\| `([a-z-]+)`[: ]", read("docs/TROUBLESHOOTING.md"), re.M))
    assert shown <= ids


@pytest.mark.parametrize("page", PAGES)
def test_every_page_a_page_leads_to_is_there(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(((?!http|#)[^)#]+)", read(page)):
        assert (folder / target).exists() or "pictures" in target, target
