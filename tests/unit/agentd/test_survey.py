"""What a node says of its machine and its projects, with real git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd import survey
from agentd.git import Git
from agentd.runners.protocol import RunnerFacts
from agentd.survey import Survey, machine_facts, read_pmset, runner_facts, without_login
from agentd.worktree import Project
from common.wire.facts import NodeFacts, ProjectFacts
from tests.unit.agentd.test_workspace import git


@dataclass
class Clock:
    at_s: float = 0.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s


@dataclass
class Bench:
    folder: Path
    clock: Clock = field(default_factory=Clock)
    changes: int = 0

    def make(self, **projects: Path) -> Survey:
        def changed() -> None:
            self.changes += 1

        return Survey(
            NodeFacts(system="here"),
            projects={name: Project(name, path) for name, path in projects.items()},
            work_dir=self.folder,
            git=lambda: Git.found(os.environ),
            clock=self.clock,
            changed=changed,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    (folder / "a.txt").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "remote", "add", "origin", "https://me:s3cret@git.example.org/me/shop.git")
    return folder


async def test_a_project_is_named_at_once_and_its_state_follows(bench: Bench, shop: Path) -> None:
    looking = bench.make(shop=shop)
    assert looking.facts.projects == [ProjectFacts(name="shop")]
    await looking.look()
    head = git(shop, "rev-parse", "HEAD")
    (said,) = looking.facts.projects or ()
    assert said == ProjectFacts(
        name="shop",
        head=head[:12],
        branch="main",
        remote="https://git.example.org/me/shop.git",
        dirty=False,
    )
    assert bench.changes == 1
    assert looking.facts.disk_free_gb


async def test_git_is_asked_rarely_and_a_change_is_told_once(bench: Bench, shop: Path) -> None:
    looking = bench.make(shop=shop)
    await looking.look()
    (shop / "a.txt").write_text("two")
    changes = bench.changes
    bench.clock.at_s = survey.EVERY_S
    await looking.look()
    assert [p.dirty for p in looking.facts.projects or ()] == [False]
    bench.clock.at_s = survey.FULL_EVERY_S
    await looking.look()
    await looking.look()
    assert [p.dirty for p in looking.facts.projects or ()] == [True]
    assert bench.changes <= changes + 2  # the disk may have moved, too


async def test_a_project_that_cannot_be_used_says_why_and_is_back_soon(
    bench: Bench, shop: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    shop.rename(away)
    (tmp_path / "plain").mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    looking = bench.make(shop=shop, plain=tmp_path / "plain", empty=tmp_path / "empty")
    problems = [project.problem or "" for project in looking.facts.projects or ()]
    assert "does not exist" in problems[0]
    await looking.look()
    problems = [project.problem or "" for project in looking.facts.projects or ()]
    assert "does not exist" in problems[0]
    assert "not a git repository" in problems[1]
    assert "no commit yet" in problems[2]
    away.rename(shop)
    bench.clock.at_s = survey.EVERY_S
    await looking.look()
    assert [p.problem is None for p in looking.facts.projects or ()] == [True, False, False]


async def test_git_that_hangs_leaves_what_was_known(
    bench: Bench, shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hanging = tmp_path / "git"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(survey, "GIT_WITHIN_S", 0.05)
    looking = bench.make(shop=shop)
    monkeypatch.setattr(looking, "_git", lambda: Git(str(hanging), {}))
    await looking.look()
    assert looking.facts.projects == [ProjectFacts(name="shop")]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://git.example.org/me/x.git", "https://git.example.org/me/x.git"),
        ("https://tok3n@git.example.org/x.git", "https://git.example.org/x.git"),
        ("https://me:p@ss@git.example.org:8443/x", "https://git.example.org:8443/x"),
        ("https://me:pa/ss@git.example.org/x", None),
        ("https://git.example.org/x?token=s3cret#s3cret", "https://git.example.org/x"),
        ("https://git.example.org/@scope/x", "https://git.example.org/@scope/x"),
        ("ssh://git@git.example.org:22/x", "ssh://git.example.org:22/x"),
        ("git@git.example.org:me/x.git", "git@git.example.org:me/x.git"),
        ("file:///srv/x.git", "file:///srv/x.git"),
        ("ext::ssh -i s3cret host %S", None),
        ("/srv/git/x.git", "/srv/git/x.git"),
        ("", None),
    ],
)
def test_a_remote_is_told_without_its_login(url: str, said: str | None) -> None:
    assert without_login(url) == said


@given(st.text(min_size=1), st.text("abc:@/%", min_size=1))
def test_no_url_tells_its_password(user: str, password: str) -> None:
    said = without_login(f"https://{user}:{password}s3cret@git.example.org/x")
    assert "s3cret" not in (said or "")


@pytest.mark.parametrize(
    ("said", "power"),
    [
        ("Now drawing from 'AC Power'\n -InternalBattery-0\t100%; charged", "mains"),
        (
            "Now drawing from 'Battery Power'\n -InternalBattery-0\t64%; discharging;",
            "battery 60 %",
        ),
        ("No batteries", None),
    ],
)
def test_power_is_told_as_pmset_says_it(said: str, power: str | None) -> None:
    assert read_pmset(said) == power


def test_what_a_runner_found_out_is_in_its_field_or_else_its_note() -> None:
    said = runner_facts(RunnerFacts({"claude": "2.1.330", "engine": "x" * 9000}))
    facts = msgspec.convert(machine_facts() | said, NodeFacts)
    assert facts.claude == "2.1.330"
    assert (facts.note or "").startswith("engine: xxx")


@pytest.mark.parametrize("key", ["a key of a newer version", "release"])
def test_keys_of_another_version_are_ignored(key: str) -> None:
    decode: Callable[..., NodeFacts] = msgspec.json.decode
    assert decode(msgspec.json.encode({key: [1], "claude": "2"}), type=NodeFacts) == NodeFacts(
        claude="2"
    )


async def test_a_filter_that_is_missing_does_not_make_a_project_unusable(tmp_path: Path) -> None:
    """Its status fails on git-lfs; submissions were refused at the door for it."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "a.bin").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    (folder / ".gitattributes").write_text("*.bin filter=lfs\n")
    git(folder, "config", "filter.lfs.clean", "no-such-program")
    git(folder, "config", "filter.lfs.required", "true")
    os.utime(folder / "a.bin", (1, 1))  # git has to look at it again
    facts = await survey.project_facts(Git.found(os.environ), Project("shop", folder))
    assert (facts.problem, facts.branch, facts.dirty) == (None, "main", None)
    assert facts.head is not None
