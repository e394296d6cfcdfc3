"""A real mesh-agentd process for a test, ended with the test whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.agentd.scripted_hub import NODE, ScriptedHub

STOP_WITHIN_S = 15.0


@dataclass
class AgentProcess:
    """One running daemon and the log lines it wrote."""

    process: asyncio.subprocess.Process
    log_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> list[dict[str, Any]]:
        lines = self.log_file.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def wait(self, *, within_s: float = STOP_WITHIN_S) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()


@asynccontextmanager
async def agentd(
    hub: ScriptedHub,
    environment: dict[str, str],
    tmp_path: Path,
    /,
    *,
    token: str = "scripted",
    **agent: object,
) -> AsyncIterator[AgentProcess]:
    """Run the daemon with `[agent]` values given as TOML-able Python values."""
    settings = {"name": NODE, "slots": 2, "min_free_mb": 0, "drain_s": 0.0} | agent
    variables = {f"MESH_AGENT__{key.upper()}": _toml(value) for key, value in settings.items()}
    log_file = tmp_path / "agentd.log"
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agentd",
            env=environment | variables | {"MESH_HUB_URL": hub.url, "MESH_TOKEN": token},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield AgentProcess(process, log_file)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case str():
            return json.dumps(value)
        case _:
            return str(value)


async def until(condition: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Wait for something outside the hub: a file, a process."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - files and processes send no event
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process of that id runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] != "Z"
