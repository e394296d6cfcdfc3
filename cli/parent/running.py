"""One running daemon as its keeper sees it: a child, or a process found running."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cli.parent.log_files import open_log
from cli.parent.plan import Daemon
from cli.parent.record import Alive
from common.proc import signal_group


class Running:
    """`ours`: started by a parent of this mesh, so it may be ended by one.

    Not asyncio's subprocess: that kills its child when the parent goes and leaves it behind.
    """

    def __init__(self, alive: Alive, *, child: subprocess.Popen[bytes] | None, ours: bool) -> None:
        self.alive = alive
        self.ours = ours
        self._child = child

    @classmethod
    def start(
        cls, daemon: Daemon, *, env: Mapping[str, str], folder: Path, logs_dir: Path
    ) -> Running:
        """Raises OSError when the system refuses."""
        log = open_log(logs_dir, daemon.name)
        try:
            child = subprocess.Popen(
                daemon.argv,
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        return cls(Alive.of(child.pid) or Alive(child.pid, 0.0), child=child, ours=True)

    @property
    def gone(self) -> bool:
        if self._child is not None:
            return self._child.poll() is not None
        return self.alive.process() is None

    @property
    def exit_code(self) -> int | None:
        """None for a process that is not our child: nobody can know."""
        return self._child.returncode if self._child is not None else None

    def terminate(self) -> None:
        """TERM to the daemon alone: it ends what is below it in its own order."""
        if not self.gone:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.alive.pid, signal.SIGTERM)

    def kill(self) -> None:
        """KILL to its whole group."""
        if not self.gone:
            signal_group(self.alive.pid, signal.SIGKILL)
