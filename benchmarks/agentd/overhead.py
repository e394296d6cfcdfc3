"""The mesh beside a bare `claude --print`, on the same prompt, the same model API, in turns.

Mesh: from the task's creation to its result in the hub's database, by the hub's own clock. Bare:
from the spawn to the exit. The difference is what hub and agentd add.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.e2e.machines import Mesh, mesh_of_processes
from tests.fakes.model_api import ModelApi, serve_model_api

MODEL = "claude-sonnet-5-5"
PROMPTS = {
    "one answer": "[[scenario:success]]",
    "five tool calls": '[[scenario:many_turns {"turns": 5}]]',
}
TARGET_S = 0.150
LOOK_EVERY_S = 0.5
"""Seldom: the times are the hub's own, and looking costs processor time that is being measured."""
BARE = (
    "--print",
    "--output-format=stream-json",
    "--verbose",
    "--setting-sources=",
    "--strict-mcp-config",
    "--permission-mode=acceptEdits",
    f"--model={MODEL}",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of each round of one prompt."""

    prompt: str
    bare_s: list[float]
    mesh_s: list[float]

    @property
    def added_s(self) -> float:
        """The difference of the medians."""
        return statistics.median(self.mesh_s) - statistics.median(self.bare_s)

    def line(self) -> str:
        verdict = "within" if self.added_s <= TARGET_S else "OVER"
        return (
            f"{self.prompt:16} bare {_spread(self.bare_s)}  mesh {_spread(self.mesh_s)}"
            f"  added {self.added_s * 1000:+.0f} ms ({verdict} {TARGET_S * 1000:.0f} ms)"
        )


def _spread(seconds: list[float]) -> str:
    middle = statistics.median(seconds)
    return f"{middle * 1000:.0f} ms [{min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f}]"


def find_claude() -> str | None:
    """The CLI to measure: MESH_TEST_CLAUDE, `.tools`, or the PATH."""
    local = Path(__file__).parents[2] / ".tools/node_modules/.bin/claude"
    named = os.environ.get("MESH_TEST_CLAUDE") or (str(local) if local.exists() else None)
    return named or shutil.which("claude")


async def measure(claude: str, *, rounds: int) -> list[Compared]:
    """Run bare and mesh in turns, so that whatever else the machine does meets both."""
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir(mode=0o700)
        async with serve_model_api() as api:
            env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
            return await asyncio.to_thread(_measure, claude, folder, env, api, rounds)


def _measure(
    claude: str, folder: Path, env: Mapping[str, str], api: ModelApi, rounds: int
) -> list[Compared]:
    runner_env = {
        "ANTHROPIC_BASE_URL": api.url,
        "ANTHROPIC_API_KEY": "loopback-only",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    table = "{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in runner_env.items()) + "}"
    with mesh_of_processes(folder, env) as mesh:
        mesh.start_hub()
        mesh.start_agent(
            "Archon",
            1,
            MESH_AGENT__RUNNER="claude",
            MESH_AGENT__CLAUDE=claude,
            MESH_AGENT__MODEL=MODEL,
            MESH_AGENT__ENV=table,
        )
        return [
            _compare(name, prompt, mesh, claude, folder, {**env, **runner_env}, rounds)
            for name, prompt in PROMPTS.items()
        ]


def _compare(
    name: str,
    prompt: str,
    mesh: Mesh,
    claude: str,
    folder: Path,
    env: Mapping[str, str],
    rounds: int,
) -> Compared:
    run_bare(claude, prompt, folder, env)
    run_mesh(mesh, prompt)
    bare_s, mesh_s = [], []
    for _ in range(rounds):
        bare_s.append(run_bare(claude, prompt, folder, env))
        mesh_s.append(run_mesh(mesh, prompt))
    return Compared(name, bare_s, mesh_s)


def run_bare(claude: str, prompt: str, folder: Path, env: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [claude, *BARE],
        input=prompt.encode(),
        env=dict(env),
        cwd=folder,
        capture_output=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"bare claude failed: {done.stderr.decode()[-500:]}")
    return took


def run_mesh(mesh: Mesh, prompt: str) -> float:
    task_id = mesh.post("/v1/tasks", {"prompt": prompt})["id"]

    while (task := mesh.get(f"/v1/tasks/{task_id}"))["finished_at"] is None:
        time.sleep(LOOK_EVERY_S)
    if task["state"] != "succeeded":
        raise RuntimeError(f"the mesh's run failed: {task['error']}")
    created, ended = (datetime.fromisoformat(task[key]) for key in ("created_at", "finished_at"))
    return (ended - created).total_seconds()
