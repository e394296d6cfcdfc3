"""What git's complaints mean: whose they are to repair, and how. Pure.

A table, asked from the top. What is not in it says nothing of the project, and is the node's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from agentd.errors import AgentError, ProjectError, WorkspaceError

WORDS_CHARS = 400


class Whose(StrEnum):
    OWNER = "owner"
    """Of the project: the same again would fail the same way until somebody repairs it."""
    PASSING = "passing"
    """Another git is at work: the same again in a moment may do."""
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Trouble:
    whose: Whose
    remedy: str


_TABLE: tuple[tuple[str, Whose, str], ...] = (
    (
        r"git-lfs.*(not found|no such file|was not found)|'lfs' is not a git command"
        r"|external filter '?git[- ]lfs.*failed",
        Whose.OWNER,
        "Install git-lfs on this machine (brew install git-lfs, then git lfs install).",
    ),
    (
        r"smudge filter \S+ failed|external filter .* failed|clean filter .* failed",
        Whose.OWNER,
        "A filter of the repository's .gitattributes failed: install or repair its program here.",
    ),
    (
        r"\.lock'?: file exists|another git process seems to be running|cannot lock ref"
        r"|could not lock config file|unable to lock",
        Whose.PASSING,
        "Another git works in this repository. If none does, remove the lock file that is named.",
    ),
    (
        r"no space left on device|disk quota exceeded",
        Whose.NODE,
        "Free space on this machine.",
    ),
    (
        r"dubious ownership",
        Whose.OWNER,
        "The repository belongs to another user: give it to the user of the agent.",
    ),
    (
        r"permission denied|insufficient permission|read-only file system|operation not permitted",
        Whose.OWNER,
        "Give the user of the agent the right to write there.",
    ),
    (
        r"transport '(file|ext)' not allowed|submodule",
        Whose.OWNER,
        "Run git submodule update --init --recursive in the project's own folder, and retry.",
    ),
    (
        r"promisor remote|could not read from remote repository|could not resolve host"
        r"|unable to access|early eof|the remote end hung up",
        Whose.OWNER,
        "What it needs must be fetched: can the project's remote be reached from this machine?",
    ),
    (
        r"already checked out|already used by worktree|already exists|is not a valid branch name",
        Whose.OWNER,
        "Remove what stands in its place (git worktree prune, git branch -d).",
    ),
    (
        r"not a git repository|bad config|fatal: bad object|object file .* is empty|is corrupt"
        r"|missing blob|unable to read tree|unable to read sha1|invalid gitfile"
        r"|unknown repository extension|did not match any file|not something we can merge"
        r"|invalid reference|path .* too long|file ?name too long|invalid path",
        Whose.OWNER,
        "Look at it with git status and git fsck in the project's own folder.",
    ),
)

_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), Trouble(whose, remedy))
    for pattern, whose, remedy in _TABLE
)

UNKNOWN = Trouble(Whose.NODE, "")


def read(complaint: str) -> Trouble:
    """What git's stderr says."""
    return next((trouble for pattern, trouble in _PATTERNS if pattern.search(complaint)), UNKNOWN)


def explain(what: str, complaint: str) -> AgentError:
    """The error of a git command that failed, written for whoever has to repair it."""
    trouble = read(complaint)
    lines = [line.strip() for line in complaint.strip().splitlines() if line.strip()]
    words = " ".join(lines[-4:])[-WORDS_CHARS:]
    text = f"{what}: {words}" + (f" {trouble.remedy}" if trouble.remedy else "")
    return WorkspaceError(text) if trouble.whose is Whose.NODE else ProjectError(text)
