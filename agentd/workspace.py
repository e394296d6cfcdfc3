"""Where an attempt works: a private folder of its own, or the folder its session worked in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import WorkspaceError
from common.paths import make_private_dir
from common.wire.nodes import Lease

SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class Place:
    """A prepared folder. `trusted`: the project's own settings may be loaded."""

    folder: Path
    trusted: bool = False


class Workspace:
    """Makes and remembers folders below `root`, which agents of one machine may share."""

    def __init__(self, root: Path) -> None:
        self._root = make_private_dir(root)
        self._sessions = make_private_dir(root / ".sessions")

    @property
    def root(self) -> Path:
        return self._root

    async def prepare(self, lease: Lease) -> Place:
        """The folder of this attempt; raises WorkspaceError when it cannot be had."""
        earlier = self._folder_of(lease.task.session_id)
        if earlier is not None:
            return Place(earlier)
        folder = self._root / str(lease.task.id) / str(lease.fence)
        try:
            make_private_dir(folder.parent)
            return Place(make_private_dir(folder))
        except OSError as error:
            raise WorkspaceError(
                f"{folder} cannot be made: {error.strerror}. Is the disk full?"
            ) from error

    def remember_session(self, session_id: str, folder: Path) -> None:
        """A later attempt that resumes the session finds the files it worked on."""
        if SESSION_ID.fullmatch(session_id) is not None:
            (self._sessions / session_id).write_text(str(folder), encoding="utf-8")

    def _folder_of(self, session_id: str | None) -> Path | None:
        if session_id is None or SESSION_ID.fullmatch(session_id) is None:
            return None
        try:
            folder = Path((self._sessions / session_id).read_text(encoding="utf-8"))
        except OSError:
            return None
        return folder if folder.is_dir() and folder.is_relative_to(self._root) else None
