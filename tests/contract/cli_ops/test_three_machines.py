"""The README's own commands on three machines, from nothing to a finished task on each."""

from __future__ import annotations

import json
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cli_ops.conftest import Mesh, until

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")


def commands(heading: str) -> list[list[str]]:
    """The `mesh …` lines of the first code block after a bold heading, without comments."""
    section = README[README.index(heading) :]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    lines = [shlex.split(line, comments=True) for line in block[1].splitlines()]
    return [words[1:] for words in lines if words and words[0] == "mesh"]


def machine(clean_env: dict[str, str], tmp_path: Path, name: str, **more: str) -> Mesh:
    """A machine of its own as far as the mesh can tell; tasks are rehearsed, not thought about."""
    home = tmp_path / name
    home.mkdir(mode=0o700)
    env = {**clean_env, "MESH_HOME": str(home), "MESH_AGENT__RUNNER": "rehearsal", **more}
    return Mesh(env)


def run(mesh: Mesh, *words: str, stdin: str = "", codes: tuple[int, ...] = (0,)) -> str:
    done = mesh(*words, stdin=stdin)
    assert done.returncode in codes, (words, done.stdout, done.stderr)
    return done.stdout


def ready(mesh: Mesh) -> dict[str, Any]:
    found = json.loads(run(mesh, "nodes", "--json"))["nodes"]
    return {node["name"]: node for node in found if node["online"]}


@pytest.mark.thorough
def test_three_machines_from_nothing_to_a_finished_task_on_each(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    first = machine(clean_env, tmp_path, "Archon", MESH_HUB__BIND=bind, MESH_AGENT__NAME="Archon")
    others = {name: machine(clean_env, tmp_path, name) for name in ("Rex", "Crucible")}
    alone, further = commands("**The Mac that is signed in"), commands("**Every further Mac**")
    assert [words[0] for words in alone] == ["init", "up", "doctor"]
    assert [words[0] for words in further] == ["invite", "join", "up"]
    try:
        for words in alone[:-1]:
            # There is no Messages here: the bridge says so and waits.
            run(first, *words, codes=(0, 1))
        until(lambda: "Archon" in ready(first), "the first node")
        report = json.loads(run(first, "doctor", "--json", codes=(0, 1)))
        failed = {f["id"] for f in report["findings"] if f["mark"] == "fail"}
        assert failed <= {"chat-db", "automation", "bridge", "daemons"}
        for name, other in others.items():
            invite, join, up = further
            invitation = run(first, *[name if word == "Rex" else word for word in invite])
            run(other, *join, stdin=invitation)
            run(other, *up)
        names = {"Archon", *others}
        until(lambda: names <= ready(first).keys(), "all three")
        for name in names:
            done = run(first, "submit", "--wait", "--json", "--on", name, "what is new?")
            assert name in done
        shown = json.loads(run(first, "ls", "--all", "--json"))["tasks"]
        assert {task["node"] for task in shown} == names
        assert {task["state"] for task in shown} == {"succeeded"}
    finally:
        for mesh in (first, *others.values()):
            mesh("down", "--now")
