"""A git worktree and a branch of its own for each attempt that names a project."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import ProjectError
from agentd.git import Git
from agentd.leave import NO_LEAVE, Leave
from common.config import ProjectConfig

BRANCHES = "mesh"
"""Branches of attempts are `mesh/<task>/<fence>`."""


@dataclass(frozen=True, slots=True)
class Project:
    """A repository of this machine that tasks may name."""

    name: str
    folder: Path
    copy: tuple[str, ...] = ()
    trusted: bool = False
    leave: Leave = NO_LEAVE

    @classmethod
    def of(cls, name: str, config: ProjectConfig) -> Project:
        folder = Path(config.path).expanduser()
        return cls(name, folder, tuple(config.copy), config.trusted, Leave.of(config))


async def add_worktree(
    git: Git, project: Project, folder: Path, *, branch: str, base: str | None
) -> None:
    """Make `folder` a worktree of the project on the new `branch`, begun at `base` or HEAD.

    Raises ProjectError for what only the owner can mend, WorkspaceError for the rest.
    """
    if not project.folder.is_dir():
        raise ProjectError(
            f"the folder of project {project.name}, {project.folder}, does not exist."
            " Mend agent.projects in mesh.toml."
        )
    code, _, _ = await git.attempt(project.folder, "rev-parse", "--git-dir")
    if code != 0:
        raise ProjectError(f"project {project.name}: {project.folder} is not a git repository.")
    start = await _start_of(git, project, base)
    await git.run(project.folder, "worktree", "add", "--quiet", "-b", branch, str(folder), start)
    for source, target in _copies(project, folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


async def _start_of(git: Git, project: Project, base: str | None) -> str:
    wanted = [base, f"origin/{base}"] if base is not None else ["HEAD"]
    for name in wanted:
        code, commit, _ = await git.attempt(
            project.folder,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{name}^{{commit}}",
        )
        if code == 0:
            return commit.strip()
    if base is None:
        raise ProjectError(f"project {project.name} has no commit yet; make a first one.")
    raise ProjectError(f"project {project.name} has no branch {base}, here or at origin.")


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
