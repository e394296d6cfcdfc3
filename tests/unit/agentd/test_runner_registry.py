"""Runners by name, a third party's among them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agentd.errors import RunnerUnavailableError
from agentd.runners.registry import make_runner
from common.config import AgentConfig

RUNNER = """
from agentd.runners.rehearsal import RehearsalRunner

class Echo(RehearsalRunner):
    name = "echo"

def make(agent):
    return Echo(new_id=lambda: agent.name)

def broken(agent):
    return "not a runner"
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers two runners by entry point."""
    (tmp_path / "echo_runner_of_a_test.py").write_text(RUNNER)
    info = tmp_path / "echo_runner-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-runner\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mesh.runners]\necho = echo_runner_of_a_test:make\nbad = echo_runner_of_a_test:broken\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "echo_runner_of_a_test", raising=False)


def named(runner: str, tmp_path: Path) -> object:
    agent = AgentConfig(name="N", runner=runner, command=["true"])
    return make_runner(agent, {"PATH": "/bin"}, memory=tmp_path, new_id=lambda: "x")


@pytest.mark.parametrize("name", ["claude", "codex", "command", "rehearsal"])
def test_our_runners_are_made_by_name(name: str, tmp_path: Path) -> None:
    assert getattr(named(name, tmp_path), "name", None) == name


@pytest.mark.usefixtures("third_party")
def test_a_third_party_adds_a_runner_by_entry_point(tmp_path: Path) -> None:
    assert getattr(named("echo", tmp_path), "name", None) == "echo"


@pytest.mark.usefixtures("third_party")
def test_something_that_is_no_runner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerUnavailableError, match=r"RUNNERS\.md"):
        named("bad", tmp_path)


@pytest.mark.usefixtures("third_party")
def test_an_unknown_name_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        RunnerUnavailableError, match="bad, claude, codex, command, echo, rehearsal"
    ):
        named("telepathy", tmp_path)
