"""Where a task's branch begins: at the newest commit of its base that is a plain continuation of
what the owner has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import AgentError, ProjectError
from agentd.git import Git

FETCH_TIMEOUT_S = 30.0

Notice = Callable[[str], None]
"""Where something that is worth knowing goes, but is no failure."""


@dataclass(frozen=True, slots=True)
class Base:
    """`branch` None is a commit without a branch."""

    commit: str
    branch: str | None


async def find_base(
    git: Git, name: str, folder: Path, wanted: str | None, *, fetch: bool, notice: Notice
) -> Base:
    """The start of a new branch in the repository `folder` of project `name`: `wanted`, or the
    branch that is checked out there. Raises ProjectError."""
    branch = wanted or await _checked_out(git, folder)
    upstream = None if branch is None else await _upstream(git, folder, branch)
    remote = await _remote(git, folder, branch)
    if fetch and remote is not None:
        await _fetch(git, folder, remote, branch, notice)
        if branch is not None:
            upstream = await _upstream(git, folder, branch)
    local = await _commit(git, folder, f"refs/heads/{branch}" if branch else "HEAD")
    if local is None and wanted is None:
        raise ProjectError(
            f"project {name} has no commit yet: make a first one in {folder}, and retry."
        )
    if local is None and branch is not None:
        found = upstream or await _commit(git, folder, branch)
        if found is None:
            raise ProjectError(
                f"project {name} has no branch {branch}, here or at {remote or 'origin'}."
                " Make it, or name another."
            )
        return Base(found, branch)
    assert local is not None
    return Base(await _newest(git, folder, branch, local, upstream, notice), branch)


async def _newest(
    git: Git, folder: Path, branch: str | None, local: str, upstream: str | None, notice: Notice
) -> str:
    """What the remote has where that only adds to the local branch; else the local branch."""
    if upstream is None or upstream == local:
        return local
    if await _is_ancestor(git, folder, local, upstream):
        return upstream
    if not await _is_ancestor(git, folder, upstream, local):
        notice(f"{branch} and its remote have diverged: the work begins at {branch} as it is here")
    return local


async def _checked_out(git: Git, folder: Path) -> str | None:
    code, branch, _ = await git.attempt(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    return branch.strip() if code == 0 else None


async def _upstream(git: Git, folder: Path, branch: str) -> str | None:
    """The commit its remote has, as far as it was fetched."""
    code, ref, _ = await git.attempt(
        folder, "for-each-ref", "--format=%(upstream)", f"refs/heads/{branch}"
    )
    if code == 0 and ref.strip():
        return await _commit(git, folder, ref.strip())
    remote = await _remote(git, folder, branch)
    return None if remote is None else await _commit(git, folder, f"refs/remotes/{remote}/{branch}")


async def _remote(git: Git, folder: Path, branch: str | None) -> str | None:
    """The branch's own remote, else `origin`, else the only one."""
    if branch is not None:
        code, own, _ = await git.attempt(folder, "config", f"branch.{branch}.remote")
        if code == 0 and own.strip() not in ("", "."):
            return own.strip()
    remotes = (await git.run(folder, "remote")).split()
    if "origin" in remotes:
        return "origin"
    return remotes[0] if len(remotes) == 1 else None


async def _fetch(git: Git, folder: Path, remote: str, branch: str | None, notice: Notice) -> None:
    """Ask the remote what is new; being offline is no failure."""
    try:
        talking = await git.talking_ssh(folder)
        code, _, complaint = await talking.attempt(
            folder, "fetch", "--quiet", "--no-recurse-submodules", remote,
            timeout_s=FETCH_TIMEOUT_S,
        )  # fmt: skip
    except AgentError as error:
        code, complaint = 1, error.message
    if code == 0:
        return
    words = complaint.strip().splitlines()
    why = words[-1].removeprefix("fatal: ")[:200] if words else f"exit {code}"
    age = await _age(git, folder)
    of = branch or "HEAD"
    notice(f"{remote} could not be fetched ({why}): {of} is as {age}")


async def _age(git: Git, folder: Path) -> str:
    """When the repository last heard of its remote, in words."""
    where = await git.run(folder, "rev-parse", "--git-common-dir")
    try:
        fetched_at = (folder / where.strip() / "FETCH_HEAD").stat().st_mtime
    except OSError:
        return "it is here, never fetched"
    hours = max(time.time() - fetched_at, 0.0) / 3600
    if hours < 1:
        return "it was fetched within the last hour"
    age = f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
    return f"it was fetched {age} ago"


async def _commit(git: Git, folder: Path, name: str) -> str | None:
    code, commit, _ = await git.attempt(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    return commit.strip() if code == 0 else None


async def _is_ancestor(git: Git, folder: Path, older: str, newer: str) -> bool:
    code, _, _ = await git.attempt(folder, "merge-base", "--is-ancestor", older, newer)
    return code == 0
