"""The configuration page is what the schema says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from common.config.reference import reference
from common.config.schema import Config

PAGE = Path(__file__).parents[3] / "docs" / "CONFIGURATION.md"


def test_the_page_is_generated_from_the_schema_as_it_stands() -> None:
    command = "python -m common.config.reference > docs/CONFIGURATION.md"
    assert PAGE.read_text() == reference(), f"out of date: {command}"


def test_every_key_is_described() -> None:
    page = reference()
    for table in msgspec.structs.fields(Config):
        for field in msgspec.structs.fields(table.type):
            (line,) = [
                row
                for row in page.split(f"## [{table.name}]")[1].split("## [")[0].splitlines()
                if row.startswith(f"| `{field.name}` |")
            ]
            assert len(line.split("|")[-2].strip()) > 10, line
