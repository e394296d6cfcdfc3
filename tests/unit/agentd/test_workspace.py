"""Folders, worktrees and their collection, with real git."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agentd.collect import Collector, WorkFolder, choose
from agentd.errors import ProjectError
from agentd.git import Git
from agentd.workspace import Place, Workspace
from agentd.worktree import Project, remove_worktree, unsaved_work
from common.wire.nodes import Earlier, Lease, TaskSpec

DAY_S = 86_400.0


class StillClock:
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now


def lease(fence: int = 7, **spec: object) -> Lease:
    task = TaskSpec(id=4, prompt="do it", **spec)  # type: ignore[arg-type]
    return Lease(task=task, attempt=1, fence=fence, lease_s=60.0)


def git(folder: Path, *arguments: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "T",
        "GIT_AUTHOR_EMAIL": "t@example.com",
        "GIT_COMMITTER_NAME": "T",
        "GIT_COMMITTER_EMAIL": "t@example.com",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=identity,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "code.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text(".env\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "branch", "feature")
    (folder / ".env").write_text("SECRET=1\n")
    return folder


@pytest.fixture
def workspace(tmp_path: Path, repository: Path, clean_env: dict[str, str]) -> Workspace:
    project = Project("app", repository, copy=(".env", "../outside", "/etc/hostname"))
    return Workspace(tmp_path / "work", projects={"app": project}, environment=clean_env)


@pytest.fixture
def safe_git(clean_env: dict[str, str]) -> Git:
    return Git.found(clean_env)


async def test_an_attempt_gets_a_private_folder_of_its_own(workspace: Workspace) -> None:
    place = await workspace.prepare(lease())
    assert place.folder == workspace.root / "4" / "7"
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert not place.trusted


async def test_a_project_gives_a_worktree_on_a_branch_of_its_own(
    workspace: Workspace, repository: Path
) -> None:
    place = await workspace.prepare(lease(project="app"))
    assert (place.folder / "code.py").read_text() == "x = 1\n"
    assert git(place.folder, "branch", "--show-current") == "mesh/4/7"
    assert git(repository, "branch", "--show-current") == "main"
    assert (place.folder / ".env").read_text() == "SECRET=1\n"
    assert sorted(path.name for path in place.folder.iterdir()) == [
        ".env",
        ".git",
        ".gitignore",
        "code.py",
    ]


async def test_a_hook_of_the_repository_does_not_run(
    workspace: Workspace, repository: Path, tmp_path: Path
) -> None:
    hook = repository / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    hook.chmod(0o755)
    await workspace.prepare(lease(project="app"))
    assert not (tmp_path / "canary").exists()


async def test_a_branch_is_where_the_work_begins(workspace: Workspace, repository: Path) -> None:
    git(repository, "switch", "--quiet", "feature")
    (repository / "more.py").write_text("y = 2\n")
    git(repository, "add", "more.py")
    git(repository, "commit", "--quiet", "-m", "second")
    git(repository, "switch", "--quiet", "main")
    place = await workspace.prepare(lease(project="app", branch="feature"))
    assert (place.folder / "more.py").exists()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"project": "other"}, "this node has no project other; it has: app"),
        ({"project": "app", "branch": "nowhere"}, "no branch nowhere"),
        ({"project": "app", "branch": "--upload-pack=touch"}, "no branch --upload-pack"),
    ],
)
async def test_what_the_owner_has_to_mend_is_named(
    workspace: Workspace, spec: dict[str, str], says: str
) -> None:
    with pytest.raises(ProjectError, match=says):
        await workspace.prepare(lease(**spec))


async def test_a_folder_that_is_no_repository_is_named(
    tmp_path: Path, clean_env: dict[str, str]
) -> None:
    (tmp_path / "plain").mkdir()
    projects = {
        "plain": Project("plain", tmp_path / "plain"),
        "gone": Project("gone", tmp_path / "gone"),
    }
    workspace = Workspace(tmp_path / "work", projects=projects, environment=clean_env)
    with pytest.raises(ProjectError, match="not a git repository"):
        await workspace.prepare(lease(project="plain"))
    with pytest.raises(ProjectError, match="does not exist"):
        await workspace.prepare(lease(project="gone"))


async def test_a_resumed_session_works_where_it_worked(workspace: Workspace) -> None:
    first = await workspace.prepare(lease(project="app"))
    workspace.remember("session-1", first, 4)
    again = await workspace.prepare(lease(fence=9, session_id="session-1"))
    assert again == replace(first, kept=True)
    unknown = await workspace.prepare(lease(fence=10, session_id="session-2"))
    assert unknown.folder.name == "10"


async def test_the_folder_of_a_session_is_on_disk_before_anything_runs_in_it(
    workspace: Workspace,
) -> None:
    first = await workspace.prepare(lease(project="app"), "planned")
    assert workspace.heard_task("planned") is None
    again = await workspace.prepare(lease(fence=9, session_id="planned"), "planned")
    assert again == replace(first, kept=True)
    workspace.remember("planned", first, 4)
    await workspace.prepare(lease(fence=10, session_id="planned"), "planned")
    assert workspace.heard_task("planned") == 4


async def test_an_interrupted_task_without_a_session_returns_to_its_folder(
    workspace: Workspace,
) -> None:
    earlier = Earlier(node="rex", outcome="interrupted")
    first = await workspace.prepare(lease())
    again = await workspace.prepare(lease(fence=9, earlier=earlier))
    assert again == replace(first, kept=True)
    fresh = await workspace.prepare(lease(fence=10))
    assert fresh.folder.name == "10"


async def test_the_same_number_of_another_hub_is_another_task(workspace: Workspace) -> None:
    await workspace.prepare(lease(project="app"))
    other = lease(fence=9, earlier=Earlier(node="rex", outcome="lost"))
    assert (await workspace.prepare(other)).folder.name == "9"


@pytest.mark.parametrize("session_id", ["../../etc", ".", "a/b", ""])
async def test_a_session_id_cannot_lead_out_of_the_index(
    workspace: Workspace, session_id: str, tmp_path: Path
) -> None:
    workspace.remember(session_id, Place(tmp_path), 4)
    place = await workspace.prepare(lease(session_id=session_id))
    assert place.folder.name == "7"


async def test_trust_is_the_configurations_word_of_today(
    tmp_path: Path, repository: Path, clean_env: dict[str, str]
) -> None:
    def workspace(*, trusted: bool) -> Workspace:
        project = Project("app", repository, trusted=trusted)
        return Workspace(tmp_path / "work", projects={"app": project}, environment=clean_env)

    place = await workspace(trusted=True).prepare(lease(project="app"))
    assert place.trusted
    workspace(trusted=True).remember("session-1", place, 4)
    later = await workspace(trusted=False).prepare(lease(fence=8, session_id="session-1"))
    assert later.folder == place.folder
    assert not later.trusted


async def test_work_that_is_nowhere_else_is_seen(workspace: Workspace, safe_git: Git) -> None:
    place = await workspace.prepare(lease(project="app"))
    assert await unsaved_work(safe_git, place.folder) is None
    (place.folder / "new.py").write_text("z = 3\n")
    assert "new.py" in (await unsaved_work(safe_git, place.folder) or "")
    git(place.folder, "add", ".")
    git(place.folder, "commit", "--quiet", "-m", "work")
    assert "1 commits" in (await unsaved_work(safe_git, place.folder) or "")
    git(place.folder, "branch", "--force", "feature", "HEAD")
    assert await unsaved_work(safe_git, place.folder) is None


async def test_a_removed_worktree_takes_its_branch_along(
    workspace: Workspace, safe_git: Git, repository: Path
) -> None:
    place = await workspace.prepare(lease(project="app"))
    await remove_worktree(safe_git, place.folder)
    assert not place.folder.exists()
    assert git(repository, "branch", "--list", "mesh/*") == ""


async def test_collection_removes_the_old_and_keeps_unsaved_work_and_what_is_in_use(
    workspace: Workspace, safe_git: Git
) -> None:
    plain = await workspace.prepare(lease(fence=1))
    clean = await workspace.prepare(lease(fence=2, project="app"))
    dirty = await workspace.prepare(lease(fence=3, project="app"))
    (dirty.folder / "new.py").write_text("z = 3\n")
    used = await workspace.prepare(lease(fence=4))
    workspace.remember("gone", plain, 4)
    collector = Collector(
        root=workspace.root,
        clock=StillClock(used.folder.stat().st_mtime + 15 * DAY_S),
        keep_days=14.0,
        keep_mb=1000,
        in_use=lambda: {used.folder},
        git=lambda: safe_git,
        forget_missing=workspace.forget_missing,
        tidy=workspace.tidy,
    )
    await collector.collect()
    assert not plain.folder.exists()
    assert not clean.folder.exists()
    assert dirty.folder.exists()
    assert used.folder.exists()
    assert not (workspace.root / ".sessions" / "gone").exists()


def test_size_takes_the_oldest_first_and_only_as_many_as_needed(tmp_path: Path) -> None:
    folders = [WorkFolder(tmp_path / str(n), float(n), 100) for n in range(4)]
    chosen = choose(folders, now=10.0, keep_s=1000.0, keep_bytes=250)
    assert [folder.path.name for folder in chosen] == ["0", "1"]
    assert choose(folders, now=10.0, keep_s=1000.0, keep_bytes=400) == []
