"""Worktrees as a project needs them: fresh, with submodules, set up; and nothing left of failures.

Real git throughout.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentd import git_trouble
from agentd.errors import ProjectError, UnfitError, WorkspaceError
from agentd.git import Git
from agentd.git_trouble import Whose
from agentd.workspace import Workspace
from agentd.worktree import Project, abandon, remove_worktree, tidy
from common.wire.nodes import Lease, TaskSpec

Made = Callable[..., Workspace]


def lease(fence: int = 7, **spec: Any) -> Lease:
    task = TaskSpec(id=4, prompt="do it", **{"project": "app"} | spec)
    return Lease(task=task, attempt=1, fence=fence, lease_s=60.0)


def git(folder: Path, *arguments: str, **more: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "T",
        "GIT_AUTHOR_EMAIL": "t@example.com",
        "GIT_COMMITTER_NAME": "T",
        "GIT_COMMITTER_EMAIL": "t@example.com",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PATH": os.environ["PATH"],
    } | more
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments],
        env=identity, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, name: str, text: str = "x\n") -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", f"add {name}")
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "a.txt")
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return repository(tmp_path / "shop")


@pytest.fixture
def made(tmp_path: Path, shop: Path, clean_env: dict[str, str]) -> Made:
    def workspace(**fields: Any) -> Workspace:
        project = Project("app", **{"folder": shop} | fields)
        return Workspace(tmp_path / "work", projects={"app": project}, environment=clean_env)

    return workspace


def leftovers(folder: Path) -> tuple[str, int]:
    """Branches of ours, and worktrees besides the project's own folder."""
    listed = git(folder, "worktree", "list", "--porcelain")
    return git(folder, "branch", "--list", "mesh/*"), listed.count("worktree ") - 1


# -- submodules ---------------------------------------------------------------------------------


async def test_a_worktree_holds_the_files_of_its_submodules(made: Made, shop: Path) -> None:
    """`submodules`: from a local path, and nested."""
    inner, lib = repository(shop.parent / "inner"), repository(shop.parent / "lib")
    git(lib, "submodule", "add", str(inner), "deep")
    git(lib, "commit", "--quiet", "-m", "inner")
    git(shop, "submodule", "add", str(lib), "vendor/lib")
    git(shop, "submodule", "update", "--init", "--recursive")
    git(shop, "commit", "--quiet", "-m", "lib")
    folder = (await made().prepare(lease())).folder
    assert (folder / "vendor/lib/a.txt").exists()
    assert (folder / "vendor/lib/deep/a.txt").exists()
    assert git(folder / "vendor/lib", "remote", "get-url", "origin") == str(lib)
    assert git(folder, "status", "--porcelain") == ""


async def test_a_submodules_copy_on_this_machine_is_enough_when_its_remote_is_gone(
    made: Made, shop: Path
) -> None:
    lib = repository(shop.parent / "lib")
    git(shop, "submodule", "add", str(lib), "lib")
    git(shop, "commit", "--quiet", "-m", "lib")
    lib.rename(shop.parent / "moved")
    assert ((await made().prepare(lease())).folder / "lib/a.txt").exists()


async def test_a_commit_that_the_own_copy_lacks_is_fetched_from_the_submodules_remote(
    made: Made, shop: Path
) -> None:
    lib = repository(shop.parent / "lib")
    git(shop, "submodule", "add", str(lib), "lib")
    git(shop, "commit", "--quiet", "-m", "lib")
    newer = commit(lib, "b.txt")
    git(shop, "update-index", "--cacheinfo", f"160000,{newer},lib")
    git(shop, "commit", "--quiet", "-m", "newer lib")
    assert ((await made().prepare(lease())).folder / "lib/b.txt").exists()


async def test_a_local_path_that_the_owner_never_initialised_is_refused_with_the_remedy(
    made: Made, shop: Path
) -> None:
    """What a foreign commit names may not be read from this disk unasked."""
    lib = repository(shop.parent / "lib")
    other = shop.parent / "other"
    git(shop, "clone", "--quiet", str(shop), str(other))
    git(other, "submodule", "add", str(lib), "lib")
    git(other, "commit", "--quiet", "-m", "lib")
    git(shop, "pull", "--quiet", str(other), "main")
    with pytest.raises(ProjectError, match=r"submodule lib .*git submodule update --init"):
        await made().prepare(lease())
    assert leftovers(shop) == ("", 0)


@pytest.mark.parametrize("url", ["ext::sh -c 'touch canary'", "/nowhere/at/all"])
async def test_a_submodule_that_cannot_be_had_leaves_nothing_behind(
    made: Made, shop: Path, url: str
) -> None:
    lib = repository(shop.parent / "lib")
    git(shop, "update-index", "--add", "--cacheinfo", f"160000,{git(lib, 'rev-parse', 'HEAD')},lib")
    (shop / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    git(shop, "add", ".gitmodules")
    git(shop, "commit", "--quiet", "-m", "lib")
    with pytest.raises(ProjectError, match="submodule lib"):
        await made().prepare(lease())
    assert leftovers(shop) == ("", 0)
    assert not list(shop.parent.rglob("canary"))


async def test_a_worktree_with_submodules_can_be_removed(
    made: Made, shop: Path, clean_env: dict[str, str]
) -> None:
    lib = repository(shop.parent / "lib")
    git(shop, "submodule", "add", str(lib), "lib")
    git(shop, "commit", "--quiet", "-m", "lib")
    folder = (await made().prepare(lease())).folder
    await remove_worktree(Git.found(clean_env), folder)
    assert leftovers(shop) == ("", 0)


# -- where it begins ----------------------------------------------------------------------------


@pytest.fixture
def clone(shop: Path) -> Path:
    folder = shop.parent / "clone"
    git(shop, "clone", "--quiet", str(shop), str(folder))
    return folder


async def test_work_begins_at_what_the_remote_has_by_now(
    made: Made, shop: Path, clone: Path
) -> None:
    newest = commit(shop, "new.txt")
    folder = (await made(folder=clone).prepare(lease())).folder
    assert git(folder, "rev-parse", "HEAD") == newest
    assert git(clone, "rev-parse", "main") != newest


async def test_work_begins_at_the_own_branch_where_the_remote_is_no_continuation_of_it(
    made: Made, shop: Path, clone: Path
) -> None:
    commit(shop, "theirs.txt")
    ours = commit(clone, "ours.txt")
    said: list[str] = []
    folder = (await made(folder=clone).prepare(lease(), notice=said.append)).folder
    assert git(folder, "rev-parse", "HEAD") == ours
    assert said == ["main and its remote have diverged: the work begins at main as it is here"]


async def test_a_remote_that_cannot_be_reached_is_only_said(
    made: Made, shop: Path, clone: Path
) -> None:
    shop.rename(shop.parent / "moved")
    said: list[str] = []
    place = await made(folder=clone).prepare(lease(), notice=said.append)
    assert (place.folder / "a.txt").exists()
    (line,) = said
    assert line.startswith("origin could not be fetched (")
    assert "main is as" in line


async def test_fetch_can_be_turned_off(made: Made, shop: Path, clone: Path) -> None:
    commit(shop, "new.txt")
    before = git(clone, "rev-parse", "main")
    folder = (await made(folder=clone, fetch=False).prepare(lease())).folder
    assert git(folder, "rev-parse", "HEAD") == before


async def test_a_base_that_only_the_remote_has_is_found(
    made: Made, shop: Path, clone: Path
) -> None:
    git(shop, "switch", "--quiet", "-c", "develop")
    newest = commit(shop, "dev.txt")
    folder = (await made(folder=clone, base="develop").prepare(lease())).folder
    assert git(folder, "rev-parse", "HEAD") == newest
    named = await made(folder=clone, base="develop").prepare(lease(fence=8, branch="main"))
    assert not (named.folder / "dev.txt").exists()


async def test_a_detached_head_is_where_its_work_begins(made: Made, shop: Path) -> None:
    first = git(shop, "rev-parse", "HEAD")
    commit(shop, "b.txt")
    git(shop, "checkout", "--quiet", first)
    folder = (await made().prepare(lease())).folder
    assert git(folder, "rev-parse", "HEAD") == first


async def test_a_project_without_a_commit_says_so(made: Made, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    with pytest.raises(ProjectError, match="has no commit yet"):
        await made(folder=empty).prepare(lease())


async def test_nothing_asks_for_a_password(made: Made, shop: Path, clone: Path) -> None:
    """A remote that wants a login fails at once and is said; ssh asks nothing either."""
    ssh = shop.parent / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" > {shop.parent}/asked\nexit 255\n')
    ssh.chmod(0o755)
    git(clone, "remote", "set-url", "origin", "ssh://git@example.invalid/shop.git")
    git(clone, "config", "core.sshCommand", str(ssh))
    said: list[str] = []
    await made(folder=clone).prepare(lease(), notice=said.append)
    assert "BatchMode=yes" in (shop.parent / "asked").read_text()
    assert len(said) == 1


# -- setup --------------------------------------------------------------------------------------


async def test_setup_runs_once_in_a_new_worktree_with_an_environment_from_nothing(
    tmp_path: Path, shop: Path, clean_env: dict[str, str]
) -> None:
    project = Project("app", shop, setup='echo "$KEY:$MESH_TOKEN" >> made.txt')
    workspace = Workspace(
        tmp_path / "work",
        projects={"app": project},
        environment=clean_env | {"MESH_TOKEN": "secret"},
        setup_environment=lambda fence: {"PATH": os.environ["PATH"], "KEY": f"k{fence}"},
    )
    place = await workspace.prepare(lease(), "session-1")
    again = await workspace.prepare(lease(fence=8, session_id="session-1"), "session-1")
    assert again.folder == place.folder
    assert (place.folder / "made.txt").read_text() == "k7:\n"


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ("echo no such lock file >&2; exit 3", r"failed \(exit 3\)(.|\n)*no such lock file"),
        (["/nowhere/program"], "cannot be run"),
        ("echo waiting; sleep 60", r"did not end in 0 s(.|\n)*waiting"),
    ],
)
async def test_a_setup_that_fails_is_the_owners_and_leaves_nothing_behind(
    made: Made, shop: Path, setup: str | list[str], says: str
) -> None:
    with pytest.raises(ProjectError, match=says):
        await made(setup=setup, setup_timeout_s=0.4).prepare(lease())
    assert leftovers(shop) == ("", 0)


async def test_a_server_that_setup_leaves_running_ends_with_it(made: Made, tmp_path: Path) -> None:
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    await made(setup=f"(exec 9> {fifo}; sleep 60) & sleep 0.2").prepare(lease())
    os.set_blocking(reader, True)
    assert await asyncio.to_thread(os.read, reader, 1) == b"", "whoever held it is gone"
    os.close(reader)


async def test_a_stop_does_not_wait_for_setup_and_takes_the_worktree_away(
    made: Made, shop: Path, tmp_path: Path
) -> None:
    workspace = made(setup=f"touch {tmp_path}/begun; sleep 60")
    preparing = asyncio.create_task(workspace.prepare(lease()))
    async with asyncio.timeout(15):
        while not (tmp_path / "begun").exists():  # noqa: ASYNC110 - files send no event
            await asyncio.sleep(0.01)
        preparing.cancel()
        await asyncio.gather(preparing, return_exceptions=True)
    assert preparing.cancelled()
    assert leftovers(shop) == ("", 0)


# -- what fails is the owner's, and nothing of it is left -----------------------------------------


@pytest.mark.parametrize(
    ("attributes", "smudge", "says"),
    [
        ("*.bin filter=lfs", "git-lfs filter-process", "Install git-lfs on this machine"),
        ("*.bin filter=crypt", "exit 1; cat", r"filter of the repository's \.gitattributes"),
    ],
)
async def test_a_filter_that_is_missing_is_the_owners_to_repair(
    made: Made, shop: Path, attributes: str, smudge: str, says: str
) -> None:
    name = attributes.partition("filter=")[2]
    commit(shop, "big.bin")
    commit(shop, ".gitattributes", attributes)
    kind = "process" if "process" in smudge else "smudge"
    git(shop, "config", f"filter.{name}.{kind}", smudge)
    git(shop, "config", f"filter.{name}.required", "true")
    with pytest.raises(ProjectError, match=says):
        await made().prepare(lease())
    assert leftovers(shop) == ("", 0)


async def test_pointers_of_git_lfs_are_said_where_it_is_not_set_up(made: Made, shop: Path) -> None:
    commit(shop, "sub/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text")
    said: list[str] = []
    await made().prepare(lease(), notice=said.append)
    assert said == ["git-lfs is not set up here, so its files are pointers: git lfs install"]


async def test_a_lock_of_another_git_is_waited_for(made: Made, shop: Path) -> None:
    lock = shop / ".git" / "refs" / "heads" / "mesh" / "4" / "7.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    preparing = asyncio.create_task(made().prepare(lease()))
    await asyncio.sleep(0.3)
    lock.unlink()
    assert ((await preparing).folder / "a.txt").exists()


async def test_a_lock_that_stays_is_named_with_what_to_do(
    made: Made, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentd.git.PATIENCE_S", 0.1)
    lock = shop / ".git" / "refs" / "heads" / "mesh" / "4" / "7.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(ProjectError, match="remove the lock file"):
        await made().prepare(lease())


@pytest.mark.parametrize(
    ("complaint", "whose"),
    [
        ("git-lfs filter-process: git-lfs: command not found", Whose.OWNER),
        ("fatal: big.bin: smudge filter lfs failed", Whose.OWNER),
        ("fatal: Unable to create '/r/.git/index.lock': File exists.", Whose.PASSING),
        ("error: could not lock config file .git/config: File exists", Whose.PASSING),
        ("fatal: could not create directory of '.git/worktrees/7': Permission denied", Whose.OWNER),
        ("fatal: detected dubious ownership in repository at '/r'", Whose.OWNER),
        ("error: insufficient permission for adding an object", Whose.OWNER),
        ("fatal: transport 'file' not allowed", Whose.OWNER),
        ("fatal: could not fetch 1a2b from promisor remote", Whose.OWNER),
        ("fatal: unable to access 'https://h/x/': Could not resolve host: h", Whose.OWNER),
        ("error: object file .git/objects/aa is empty", Whose.OWNER),
        ("fatal: write error: No space left on device", Whose.NODE),
        ("something nobody has seen before", Whose.NODE),
    ],
)
def test_each_complaint_of_git_has_its_owner(complaint: str, whose: Whose) -> None:
    assert git_trouble.read(complaint).whose is whose
    error = git_trouble.explain("git worktree failed", complaint)
    assert isinstance(error, WorkspaceError if whose is Whose.NODE else ProjectError)


def test_git_that_is_not_there_makes_the_node_unfit(clean_env: dict[str, str]) -> None:
    with pytest.raises(UnfitError, match="xcode-select"):
        Git.found(clean_env | {"PATH": "/nowhere"})


async def test_leaked_branches_are_dropped_once_they_are_old_and_hold_nothing(
    made: Made, shop: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    found, project = Git.found(clean_env), Project("app", shop)
    old = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    git(shop, "branch", "mesh/1/2", **old)
    git(shop, "branch", "mesh/1/3")
    git(shop, "branch", "mesh/mine", **old)
    git(shop, "switch", "--quiet", "-c", "mesh/1/4")
    commit(shop, "work.txt")
    git(shop, "switch", "--quiet", "main")
    used = await made().prepare(lease())
    assert await tidy(found, project, tmp_path / "work") == ["mesh/1/2"]
    assert git(shop, "branch", "--list", "--format=%(refname:short)", "mesh/*").split() == [
        "mesh/1/3", "mesh/1/4", "mesh/4/7", "mesh/mine",
    ]  # fmt: skip
    commit(used.folder, "more.txt")
    await abandon(found, project, used.folder, "mesh/4/7")
    assert "mesh/4/7" in git(shop, "branch", "--list", "mesh/*")
