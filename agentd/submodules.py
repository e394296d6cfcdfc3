"""The submodules of a new worktree, level by level.

What the project's own folder has of a submodule is taken from there: that works offline, asks no
login, and needs no transport but the one for our own copy. Git refuses local paths of a
`.gitmodules` by default, because a foreign repository could name any; the owner's own repository
may use one once its owner initialised it, which stands in the repository's own configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentd import git_trouble
from agentd.errors import AgentError, ProjectError
from agentd.git import Git

TIMEOUT_S = 900.0
DEPTH = 8
LOCAL_ALLOWED = ("-c", "protocol.file.allow=always")


@dataclass(frozen=True, slots=True)
class Submodule:
    """`store` is the project's own copy, where it has one."""

    name: str
    path: str
    store: Path | None


async def fill_submodules(git: Git, tree: Path, store: Path | None, depth: int = 0) -> None:
    """Check out every submodule of `tree`; `store` is the git folder of the owner's own copy.
    Raises ProjectError for one that cannot be had."""
    if depth >= DEPTH or not (tree / ".gitmodules").is_file():
        return
    quiet = await git.talking_ssh(tree)
    for module in await _modules(git, tree, store):
        await _fill(quiet, tree, module, store)
        await fill_submodules(git, tree / module.path, module.store, depth + 1)


async def _modules(git: Git, tree: Path, store: Path | None) -> list[Submodule]:
    code, listed, _ = await git.attempt(
        tree, "config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.path$"
    )
    if code != 0:
        return []
    linked = await _linked(git, tree)
    return [module for module in _parsed(listed, store) if module.path in linked]


def _parsed(listed: str, store: Path | None) -> Iterator[Submodule]:
    for entry in listed.split("\0"):
        key, _, path = entry.partition("\n")
        name = key.removeprefix("submodule.").removesuffix(".path")
        if name and path:
            copy = None if store is None else store / "modules" / name
            yield Submodule(name, path, copy if copy is not None and copy.is_dir() else None)


async def _linked(git: Git, tree: Path) -> set[str]:
    """The paths that are submodules in the commit itself, whatever `.gitmodules` says."""
    staged = await git.run(tree, "ls-files", "--stage", "-z")
    return {line.partition("\t")[2] for line in staged.split("\0") if line.startswith("160000 ")}


async def _fill(git: Git, tree: Path, module: Submodule, store: Path | None) -> None:
    if module.store is not None:
        url = f"submodule.{module.name}.url={module.store}"
        code, _, _ = await _update(git, tree, module, *LOCAL_ALLOWED, "-c", url)
        await _name_origin(git, tree, module)
        if code == 0:
            return
    allowed = LOCAL_ALLOWED if await _is_own_path(git, tree, module, store) else ()
    code, _, complaint = await _update(git, tree, module, *allowed)
    if code != 0:
        raise _unreachable(tree, module, complaint)


async def _update(git: Git, tree: Path, module: Submodule, *options: str) -> tuple[int, str, str]:
    try:
        return await git.attempt(
            tree, *options, "submodule", "update", "--init", "--quiet", "--", module.path,
            timeout_s=TIMEOUT_S,
        )  # fmt: skip
    except AgentError as error:
        return 1, "", error.message


async def _name_origin(git: Git, tree: Path, module: Submodule) -> None:
    """Let what was copied from here name the real remote."""
    if module.store is None or not (tree / module.path / ".git").exists():
        return
    code, origin, _ = await git.attempt(module.store, "config", "remote.origin.url")
    if code == 0:
        await git.attempt(tree / module.path, "remote", "set-url", "origin", "--", origin.strip())


async def _is_own_path(git: Git, tree: Path, module: Submodule, store: Path | None) -> bool:
    """Whether the owner initialised it from a local path: that stands in the repository's own
    configuration, where no commit can put it."""
    if store is None:
        return False
    code, url, _ = await git.attempt(
        tree, "config", "--file", str(store / "config"), f"submodule.{module.name}.url"
    )
    return code == 0 and url.strip().startswith(("/", "./", "../", "file://"))


def _unreachable(tree: Path, module: Submodule, complaint: str) -> ProjectError:
    what = f"the submodule {module.path} cannot be checked out in {tree}"
    error = git_trouble.explain(what, complaint)
    if isinstance(error, ProjectError):
        return error
    return ProjectError(
        f"{error.message} Can its remote be reached from this machine? Run git submodule update"
        " --init --recursive in the project's own folder, and retry."
    )
