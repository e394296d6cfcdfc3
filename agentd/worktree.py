"""A git worktree and a branch of its own for each attempt that names a project: whole, or not at
all."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentd.base import Notice, find_base
from agentd.errors import AgentError, ProjectError
from agentd.git import Git
from agentd.leave import NO_LEAVE, Leave
from agentd.submodules import fill_submodules
from common.config import ProjectConfig

BRANCHES = "mesh"
"""Branches of attempts are `mesh/<task>/<fence>`."""

CHECKOUT_TIMEOUT_S = 900.0
LEAKED_AFTER_S = 3600.0
"""A branch this old whose worktree is not there was left by a preparation that failed."""

_OURS = re.compile(rf"refs/heads/{BRANCHES}/(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Project:
    """A repository of this machine that tasks may name."""

    name: str
    folder: Path
    copy: tuple[str, ...] = ()
    trusted: bool = False
    leave: Leave = NO_LEAVE
    base: str = ""
    fetch: bool = True
    setup: str | Sequence[str] = ""
    setup_timeout_s: float = 900.0

    @classmethod
    def of(cls, name: str, config: ProjectConfig) -> Project:
        return cls(
            name,
            Path(config.path).expanduser(),
            copy=tuple(config.copy),
            trusted=config.trusted,
            leave=Leave.of(config),
            base=config.base,
            fetch=config.fetch,
            setup=config.setup,
            setup_timeout_s=config.setup_timeout_s,
        )


def say_nothing(_: str) -> None:
    """For those who do not want to know."""


async def add_worktree(
    git: Git,
    project: Project,
    folder: Path,
    *,
    branch: str,
    base: str | None,
    notice: Notice = say_nothing,
) -> None:
    """Make `folder` a worktree of the project on the new `branch`, begun at `base` or the
    project's own, with its submodules and copied files. One that fails or is cancelled leaves
    nothing behind.

    Raises ProjectError for what only the owner can repair, WorkspaceError for the rest.
    """
    await _check_repository(git, project)
    start = await find_base(
        git, project.name, project.folder, base or project.base or None,
        fetch=project.fetch, notice=notice,
    )  # fmt: skip
    try:
        await git.run(
            project.folder, "worktree", "add", "--quiet", "-b", branch, str(folder), start.commit,
            timeout_s=CHECKOUT_TIMEOUT_S,
        )  # fmt: skip
        common = (await git.run(project.folder, "rev-parse", "--git-common-dir")).strip()
        await fill_submodules(git, folder, project.folder / common)
        await _warn_of_pointers(git, folder, notice)
        await asyncio.to_thread(_copy, project, folder)
    except BaseException:
        await asyncio.shield(abandon(git, project, folder, branch))
        raise


async def _check_repository(git: Git, project: Project) -> None:
    where = f"Repair agent.projects.{project.name} in mesh.toml."
    if not project.folder.is_dir():
        raise ProjectError(
            f"the folder of project {project.name}, {project.folder}, does not exist."
            f" Is its disk there? {where}"
        )
    code, _, complaint = await git.attempt(project.folder, "rev-parse", "--git-dir")
    if code == 0:
        return
    words = complaint.strip().splitlines()
    if "dubious ownership" in complaint:
        raise ProjectError(
            f"project {project.name}: {project.folder} belongs to another user, so git refuses it."
            " Give it to the user of the agent."
        )
    said = f" ({words[0]})" if words and "not a git repository" not in words[0] else ""
    raise ProjectError(
        f"project {project.name}: {project.folder} is not a git repository{said}. Make it one"
        f" (git init), or: {where}"
    )


async def _warn_of_pointers(git: Git, folder: Path, notice: Notice) -> None:
    """Without git-lfs set up, its files are there as pointers, as in the owner's own checkout."""
    code, _, _ = await git.attempt(
        folder, "grep", "--quiet", "-e", "filter=lfs", "--", "*.gitattributes"
    )
    if code != 0:
        return
    code, _, _ = await git.attempt(folder, "config", "--get-regexp", r"^filter\.lfs\.")
    if code != 0:
        notice("git-lfs is not set up here, so its files are pointers: git lfs install")


async def abandon(git: Git, project: Project, folder: Path, branch: str) -> None:
    """Take a worktree that came to nothing away again, with its entry and its empty branch."""
    at = await _commit_of(git, project.folder, branch)
    await _quietly(git, project.folder, "worktree", "remove", "--force", "--force", str(folder))
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await _quietly(git, project.folder, "worktree", "prune")
    if at is not None:
        await _drop_if_empty(git, project.folder, f"refs/heads/{branch}", at)


async def tidy(git: Git, project: Project, root: Path) -> list[str]:
    """Forget worktrees that are gone, and branches of ours whose worktree never came to be, unless
    they hold commits; returns those. Others' branches and those in use are left alone."""
    if not project.folder.is_dir():
        return []
    await _quietly(git, project.folder, "worktree", "prune")
    code, listed, _ = await git.attempt(
        project.folder, "for-each-ref", "--format=%(refname) %(objectname) %(worktreepath)",
        f"refs/heads/{BRANCHES}/",
    )  # fmt: skip
    dropped = []
    for line in listed.splitlines() if code == 0 else ():
        ref, commit, used_by = [*line.split(" ", 2), ""][:3]
        ours = _OURS.fullmatch(ref)
        if ours is None or used_by or (root / ours[1] / ours[2]).exists():
            continue
        if await _is_young(git, project.folder, ref):
            continue
        if await _drop_if_empty(git, project.folder, ref, commit):
            dropped.append(ref.removeprefix("refs/heads/"))
    return dropped


async def _is_young(git: Git, folder: Path, ref: str) -> bool:
    """Whether it may be about to get its worktree, from another agent on this machine."""
    code, at, _ = await git.attempt(folder, "log", "-g", "-1", "--format=%ct", ref)
    made_at = int(at) if code == 0 and at.strip().isdigit() else 0
    code, at, _ = await git.attempt(folder, "reflog", "show", "--date=unix", "--format=%gd", ref)
    entries = re.findall(r"@\{(\d+)\}", at) if code == 0 else []
    made_at = int(entries[-1]) if entries else made_at
    return time.time() - made_at < LEAKED_AFTER_S


async def _drop_if_empty(git: Git, folder: Path, ref: str, commit: str) -> bool:
    code, ahead, _ = await git.attempt(
        folder, "rev-list", "--count", commit, "--not", "--remotes",
        f"--exclude={BRANCHES}/*", "--branches", "HEAD",
    )  # fmt: skip
    if code != 0 or ahead.strip() != "0":
        return False
    # Only if it is still what was looked at.
    code, _, _ = await git.attempt(folder, "update-ref", "-d", ref, commit)
    return code == 0


async def _commit_of(git: Git, folder: Path, branch: str) -> str | None:
    code, commit, _ = await git.attempt(
        folder, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"
    )
    return commit.strip() if code == 0 else None


async def _quietly(git: Git, folder: Path, *arguments: str) -> None:
    try:
        await git.attempt(folder, *arguments)
    except AgentError:
        return  # it is only tidying; `tidy` tries again


def _copy(project: Project, folder: Path) -> None:
    for source, target in _copies(project, folder):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        except OSError as error:
            raise ProjectError(
                f"project {project.name}: {source} cannot be copied ({error.strerror})."
                f" Repair it or agent.projects.{project.name}.copy in mesh.toml."
            ) from error


def _copies(project: Project, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Untracked files to copy; a pattern that leads out of the project copies nothing."""
    root = project.folder.resolve()
    for pattern in project.copy:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            continue
        for source in sorted(root.glob(pattern)):
            if source.is_file() and source.resolve().is_relative_to(root):
                yield source, folder / source.relative_to(root)


async def unsaved_work(git: Git, folder: Path) -> str | None:
    """What would be lost with this checkout: None when everything is committed and elsewhere."""
    status = await git.run(folder, "status", "--porcelain", "--untracked-files=all")
    changed = [line[3:] for line in status.splitlines()]
    if changed:
        return f"{len(changed)} uncommitted files, {changed[0]} among them"
    ahead = await git.run(
        folder,
        "rev-list",
        "--count",
        "HEAD",
        "--not",
        "--remotes",
        f"--exclude={BRANCHES}/*",
        "--branches",
    )
    if int(ahead.strip() or 0):
        return f"{ahead.strip()} commits that are nowhere else"
    return None


async def remove_worktree(git: Git, folder: Path) -> None:
    """Remove a worktree and its branch; ask `unsaved_work` before."""
    common = (await git.run(folder, "rev-parse", "--git-common-dir")).strip()
    repository = (folder / common).resolve()
    code, branch, _ = await git.attempt(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    await git.run(repository, "worktree", "remove", "--force", str(folder))
    if code == 0 and branch.strip().startswith(f"{BRANCHES}/"):
        await git.attempt(repository, "branch", "-D", branch.strip())
