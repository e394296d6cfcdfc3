"""No field that only one side knows: each is written by some program and read by some program.

Names are compared, not types, so a field that shares its name with another may still be missed.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

import common.wire
from common.wire.nodes import Heartbeat, NodeFacts, RegisterNode

ROOT = Path(__file__).parents[3]
PROGRAMS = ("agentd", "hubd", "imsgd", "tui", "cli", "common")

FOR_OTHER_CLIENTS = frozenset({"Approval.grantable", "CostRow.running_attempts"})
"""`Struct.field`: in the hub's answers for programs that are not ours."""

NOT_OF_AGENTD = frozenset({"leaving"})
"""What a node may say and our agent does not say yet."""


def structs() -> dict[str, type[msgspec.Struct]]:
    found = {}
    for module in pkgutil.iter_modules(common.wire.__path__, "common.wire."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                found[value.__name__] = value
    del found["Struct"]
    return found


def trees(*programs: str) -> Iterator[ast.AST]:
    for program in programs:
        for path in sorted((ROOT / program).rglob("*.py")):
            if "wire" not in path.parts and "demo" not in path.parts:
                yield ast.parse(path.read_text(encoding="utf-8"))


@cache
def names(*programs: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names given as keyword or key, and names read as attributes."""
    given, read = set(), set()
    for tree in trees(*programs):
        for node in ast.walk(tree):
            match node:
                case ast.keyword(arg=str(name)):
                    given.add(name)
                case ast.Constant(value=str(text)) if text.startswith("--"):
                    given.add(text[2:].replace("-", "_"))  # an option of the command line
                case ast.Dict(keys=keys):
                    given |= {k.value for k in keys if isinstance(k, ast.Constant)}
                case ast.Subscript(slice=ast.Constant(value=str(name)), ctx=ast.Store()):
                    given.add(name)
                case ast.Attribute(attr=name, ctx=ast.Load()):
                    read.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    given.add(name)
    return frozenset(given), frozenset(read)


FIELDS = [
    (name, field)
    for name, struct in sorted(structs().items())
    for field in struct.__struct_fields__
    if f"{name}.{field}" not in FOR_OTHER_CLIENTS
]


def test_every_field_of_the_wire_is_written_by_some_program_and_read_by_some() -> None:
    """`facts.projects` was read by the hub and sent by no agent."""
    given, read = names(*PROGRAMS)
    unwritten = [f"{s}.{f}" for s, f in FIELDS if f not in given]
    unread = [f"{s}.{f}" for s, f in FIELDS if f not in read]
    assert (unwritten, unread) == ([], []), "written by nobody, read by nobody"


@pytest.mark.parametrize("struct", [RegisterNode, Heartbeat, NodeFacts])
def test_what_a_node_says_is_written_by_agentd_and_read_by_the_others(
    struct: type[msgspec.Struct],
) -> None:
    given = names("agentd")[0] | NOT_OF_AGENTD
    read = names("hubd")[1] | names("tui")[1] | names("cli")[1]
    assert [f for f in struct.__struct_fields__ if f not in given] == [], "written by nobody"
    assert [f for f in struct.__struct_fields__ if f not in read] == [], "read by nobody"
