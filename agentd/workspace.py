"""Where an attempt works: a folder of its own, a worktree of a project, or its session's folder."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import ProjectError, WorkspaceError
from agentd.git import Git
from agentd.worktree import BRANCHES, Project, add_worktree
from common.paths import make_private_dir, write_private_file
from common.wire.nodes import Lease

logger = logging.getLogger(__name__)

SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
SESSIONS = ".sessions"


@dataclass(frozen=True, slots=True)
class Place:
    """A prepared folder. `trusted`: the project's own settings may be loaded."""

    folder: Path
    project: str | None = None
    trusted: bool = False


class Workspace:
    """Makes folders below `root`, which agents of one machine may share, and remembers which
    session worked where."""

    def __init__(
        self, root: Path, *, projects: Mapping[str, Project], environment: Mapping[str, str]
    ) -> None:
        self.root = make_private_dir(root)
        self._sessions = make_private_dir(root / SESSIONS)
        self._projects = projects
        self._environment = environment

    async def prepare(self, lease: Lease) -> Place:
        """The folder of this attempt; raises ProjectError or WorkspaceError when there is none."""
        if lease.task.session_id is not None:
            earlier = self._place_of(lease.task.session_id)
            if earlier is not None:
                os.utime(earlier.folder)  # its age counts from its last use
                return earlier
        folder = self.root / str(lease.task.id) / str(lease.fence)
        try:
            make_private_dir(folder.parent)
            if lease.task.project is not None:
                return await self._worktree(lease, folder, lease.task.project)
            return Place(make_private_dir(folder))
        except OSError as error:
            raise WorkspaceError(
                f"{folder} cannot be made: {error.strerror}. Is the disk full?"
            ) from error

    def remember(self, session_id: str, place: Place) -> None:
        """A later attempt that resumes the session finds the files it worked on."""
        if SESSION_ID.fullmatch(session_id) is not None:
            record = {"folder": str(place.folder), "project": place.project}
            write_private_file(self._sessions / session_id, json.dumps(record))

    def forget_missing(self) -> None:
        """Drop sessions whose folder is gone."""
        for path in self._sessions.iterdir():
            if SESSION_ID.fullmatch(path.name) and self._place_of(path.name) is None:
                path.unlink(missing_ok=True)

    async def _worktree(self, lease: Lease, folder: Path, name: str) -> Place:
        project = self._projects.get(name)
        if project is None:
            known = ", ".join(sorted(self._projects)) or "none"
            raise ProjectError(
                f"this node has no project {name}; it has: {known}. Add it to agent.projects."
            )
        git = Git.found(self._environment)
        branch = f"{BRANCHES}/{lease.task.id}/{lease.fence}"
        await add_worktree(git, project, folder, branch=branch, base=lease.task.branch)
        logger.info("worktree made", extra={"task": lease.task.id, "project": name})
        return Place(folder, name, project.trusted)

    def _place_of(self, session_id: str) -> Place | None:
        if SESSION_ID.fullmatch(session_id) is None:
            return None
        try:
            record = json.loads((self._sessions / session_id).read_text(encoding="utf-8"))
            folder, name = Path(record["folder"]), record["project"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not (folder.is_dir() and folder.is_relative_to(self.root)):
            return None
        project = self._projects.get(name) if name is not None else None
        return Place(folder, name, trusted=project is not None and project.trusted)
