"""What an idle agentd and its guardian cost: processor time and memory."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.machines import mesh_of_processes

CPU_TARGET = 1.0
MEMORY_TARGET_MB = 70.0


@dataclass(frozen=True, slots=True)
class Idle:
    """Over the time watched: percent of one processor, and resident megabytes at its end."""

    watched_s: float
    cpu_percent: float
    agentd_mb: float
    guardian_mb: float

    def line(self) -> str:
        return (
            f"{'idle agentd':16} {self.cpu_percent:.2f} % CPU over {self.watched_s:.0f} s"
            f" (target < {CPU_TARGET:.0f} %), {self.agentd_mb:.0f} MB and"
            f" {self.guardian_mb:.0f} MB for its guardian (target < {MEMORY_TARGET_MB:.0f} MB)"
        )


def measure(*, seconds: float) -> Idle:
    """Watch an agent of five slots that has nothing to do, on a real hub."""
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as name:
        folder = Path(name)
        env = {"PATH": os.environ["PATH"], "HOME": name, "LANG": "C.UTF-8"}
        with mesh_of_processes(folder, env) as mesh:
            mesh.start_hub()
            program = mesh.start_agent("Archon", 5, MESH_AGENT__RUNNER="rehearsal")
            return _watch(psutil.Process(program.process.pid), seconds)


def _watch(agentd: psutil.Process, seconds: float) -> Idle:
    family = [agentd, *agentd.children()]
    before = sum(sum(process.cpu_times()[:2]) for process in family)
    time.sleep(seconds)
    used = sum(sum(process.cpu_times()[:2]) for process in family) - before
    own, *others = (process.memory_info().rss / 2**20 for process in family)
    return Idle(seconds, 100.0 * used / seconds, own, sum(others))
