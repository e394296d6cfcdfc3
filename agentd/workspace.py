"""Where an attempt works: a folder of its own, a worktree of a project, or where its session or
its task worked before. Which that is stands on the disk before anything runs there."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentd.base import Notice
from agentd.errors import AgentError, ProjectError, WorkspaceError
from agentd.git import Git
from agentd.leave import NO_LEAVE, Leave
from agentd.setup_command import run_setup
from agentd.worktree import BRANCHES, Project, abandon, add_worktree, say_nothing, tidy
from common.paths import make_private_dir, write_private_file
from common.wire.nodes import Lease, TaskSpec

logger = logging.getLogger(__name__)

SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
SESSIONS = ".sessions"
TASKS = ".tasks"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A prepared folder. `trusted`: the project's own settings may be loaded; `leave`: what its
    tasks may do unasked. `kept`: an earlier run of the task or the session left it."""

    folder: Path
    project: str | None = None
    trusted: bool = False
    kept: bool = False
    leave: Leave = NO_LEAVE


class Workspace:
    """Makes folders below `root`, which agents of one machine may share, and remembers which
    session and which task worked where."""

    def __init__(
        self,
        root: Path,
        *,
        projects: Mapping[str, Project],
        environment: Mapping[str, str],
        setup_environment: Callable[[int], Mapping[str, str]] | None = None,
    ) -> None:
        self.root = make_private_dir(root)
        self._sessions = make_private_dir(root / SESSIONS)
        self._tasks = make_private_dir(root / TASKS)
        self._projects = projects
        self._environment = environment
        self._setup_environment = setup_environment or (lambda fence: environment)
        self._fetching = {name: asyncio.Lock() for name in projects}

    async def prepare(
        self, lease: Lease, session_id: str | None = None, *, notice: Notice = say_nothing
    ) -> Place:
        """The folder of this attempt, noted on the disk for its task and for `session_id`; raises
        ProjectError or WorkspaceError when there is none. Cancelling it leaves nothing behind."""
        try:
            place = self._earlier_place(lease.task) or await self._new_place(lease, notice)
            os.utime(place.folder)  # its age counts from its last use
            self._note(self._tasks / str(lease.task.id), place, {"prompt": _digest(lease.task)})
            if session_id is not None:
                self._note_session(session_id, place, heard_task=None)
        except OSError as error:
            what = f"the work folder of #{lease.task.id} cannot be made: {error.strerror}."
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise ProjectError(
                    f"{what} Give the user of the agent the right to write in {self.root}."
                ) from error
            raise WorkspaceError(f"{what} Is the disk full?") from error
        return place

    async def tidy(self) -> None:
        """Take away what preparations that failed have left in the projects."""
        for project in self._projects.values():
            try:
                dropped = await tidy(Git.found(self._environment), project, self.root)
            except AgentError as error:
                logger.info("project not tidied", extra={"because": error.message})
                continue
            if dropped:
                logger.info("branches dropped", extra={"branches": dropped})

    def remember(self, session_id: str, place: Place, task_id: int) -> None:
        """The session has the task's prompt, and works in that folder."""
        self._note_session(session_id, place, heard_task=task_id)

    def heard_task(self, session_id: str) -> int | None:
        """The task whose prompt the session got last, as far as agentd was told."""
        record = self._session_record(session_id)
        task_id = None if record is None else record.get("heard")
        return task_id if isinstance(task_id, int) else None

    def forget_missing(self) -> None:
        """Drop sessions and tasks whose folder is gone."""
        for path in (*self._sessions.iterdir(), *self._tasks.iterdir()):
            record = _read(path) if SESSION_ID.fullmatch(path.name) else None
            if record is not None and self._place_in(record) is None:
                path.unlink(missing_ok=True)

    def _earlier_place(self, task: TaskSpec) -> Place | None:
        record = None if task.session_id is None else self._session_record(task.session_id)
        place = None if record is None else self._place_in(record)
        if place is None and task.earlier is not None:
            record = _read(self._tasks / str(task.id))
            # Another hub may have given the same number to something else.
            if record is not None and record.get("prompt") == _digest(task):
                place = self._place_in(record)
        return place

    async def _new_place(self, lease: Lease, notice: Notice) -> Place:
        folder = self.root / str(lease.task.id) / str(lease.fence)
        make_private_dir(folder.parent)
        if lease.task.project is not None:
            return await self._worktree(lease, folder, lease.task.project, notice)
        return Place(make_private_dir(folder))

    def _note_session(self, session_id: str, place: Place, heard_task: int | None) -> None:
        if SESSION_ID.fullmatch(session_id) is None:
            return
        heard = heard_task if heard_task is not None else self.heard_task(session_id)
        self._note(self._sessions / session_id, place, {"heard": heard})

    def _note(self, path: Path, place: Place, more: Record) -> None:
        record = {"folder": str(place.folder), "project": place.project} | more
        if _read(path) != record:
            write_private_file(path, json.dumps(record))

    def _session_record(self, session_id: str) -> Record | None:
        if SESSION_ID.fullmatch(session_id) is None:
            return None
        return _read(self._sessions / session_id)

    def _project(self, name: str) -> Project | None:
        """The hub takes `Shop` and `shop` of two nodes for one project."""
        folded = {known.casefold(): project for known, project in self._projects.items()}
        return self._projects.get(name) or folded.get(name.casefold())

    async def _worktree(self, lease: Lease, folder: Path, name: str, notice: Notice) -> Place:
        project = self._project(name)
        if project is None:
            known = ", ".join(sorted(self._projects)) or "none"
            raise ProjectError(
                f"this node has no project {name}; it has: {known}. Add it to agent.projects."
            )
        git = Git.found(self._environment)
        branch = f"{BRANCHES}/{lease.task.id}/{lease.fence}"
        async with self._fetching[name]:
            await add_worktree(
                git, project, folder, branch=branch, base=lease.task.branch, notice=notice
            )
        try:
            await self._set_up(project, folder, lease.fence, notice)
        except BaseException:
            await asyncio.shield(abandon(git, project, folder, branch))
            raise
        logger.info("worktree made", extra={"task": lease.task.id, "project": name})
        return Place(folder, name, project.trusted, leave=project.leave)

    async def _set_up(self, project: Project, folder: Path, fence: int, notice: Notice) -> None:
        if not project.setup:
            return
        notice("running the project's setup command")
        environment = self._setup_environment(fence)
        await run_setup(project.name, project.setup, folder, environment, project.setup_timeout_s)

    def _place_in(self, record: Record) -> Place | None:
        folder, name = Path(str(record.get("folder"))), record.get("project")
        if not (folder.is_dir() and folder.is_relative_to(self.root)):
            return None
        project = self._project(name) if name is not None else None
        if project is None:
            return Place(folder, name, kept=True)
        return Place(folder, name, project.trusted, kept=True, leave=project.leave)


def _read(path: Path) -> Record | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _digest(task: TaskSpec) -> str:
    return hashlib.sha256(f"{task.project}\n{task.prompt}".encode()).hexdigest()
