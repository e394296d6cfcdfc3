"""What a node says of its machine, its runner and its projects: for the dispatcher and display."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Words = Annotated[str, Meta(max_length=500)]
ProjectName = Annotated[str, Meta(min_length=1, max_length=200)]
MAX_PROJECTS = 200
MAX_WORDS = 500


class ProjectFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A repository that tasks may name there, as it stood when the node looked last.

    `problem` is why a task cannot work in it; `remote` holds no login.
    """

    name: ProjectName
    branch: Words | None = None
    head: Words | None = None
    """The commit, shortened."""
    remote: Words | None = None
    dirty: bool | None = None
    """Whether tracked files have changes."""
    problem: Words | None = None


class NodeFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Null is what a node does not say: its machine has no such thing, or its version does not
    report it. Keys of other versions are ignored."""

    system: Words | None = None
    python: Words | None = None
    power: Words | None = None
    """`mains` or `battery 60 %`, to the nearest ten."""
    disk_free_gb: float | None = None
    """On the disk of the work folder, to two digits."""
    pid: int | None = None
    claude: Words | None = None
    """The version of Claude Code."""
    claude_path: Words | None = None
    sandbox: Words | None = None
    """Whether Claude's commands run confined, or why not."""
    claude_settings: Words | None = None
    """Which of the owner's own Claude settings count."""
    codex: Words | None = None
    command: Words | None = None
    model: Words | None = None
    """What a task runs on that names no model, nor its specialist; empty: the program's own."""
    models: Annotated[dict[str, Words], Meta(max_length=256)] = {}
    """By specialist: the model it names."""
    note: Words | None = None
    """What another runner says of itself."""
    self_test: Words | None = None
    """`ok` or `failed`: the last check of the runner that an open breaker asked for."""
    self_test_error: Words | None = None
    projects: Annotated[list[ProjectFacts], Meta(max_length=MAX_PROJECTS)] | None = None
