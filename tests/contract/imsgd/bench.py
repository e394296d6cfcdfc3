"""The real daemon between a simulated Messages (real chat.db, real stand-in) and a scripted hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imsgd.simulated.schema import Release
from imsgd.simulated.server import serving
from imsgd.simulated.world import World
from tests.fakes.hub_for_bridge import HubForBridge, running_hub

OWNER = "+15555550100"
SELF = "+15555550101"
SELF_MAIL = "me@example.com"
STRANGER = "+15555550177"
OWNER_CHAT = f"iMessage;-;{OWNER}"
SELF_CHAT = f"iMessage;-;{SELF}"


@dataclass
class Bench:
    """Everything a test of the bridge touches."""

    world: World
    hub: HubForBridge
    folder: Path
    env: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    _log_file: Any = field(default=None, repr=False)

    async def start(self, *, ready: bool = True) -> None:
        """Start the daemon; `ready` waits until it has told the hub that it is well."""
        before = len(self.hub.reports)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "imsgd", env=self.env, stdout=log, stderr=log
            )
        if ready:
            await self.hub.until(lambda: len(self.hub.reports) > before)

    async def until_reading(self) -> None:
        """The place in chat.db is saved, so whatever comes now is new to the bridge."""
        ledger = Path(self.env["MESH_HOME"]) / "bridge.db"
        await until(lambda: ledger.exists() and rows(ledger, "SELECT 1 FROM place"))
        await until(lambda: '"event": "reading"' in self.log_since_start())

    def log_since_start(self) -> str:
        text = self.log.read_text()
        return text[text.rfind('"event": "started"') :]

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = await self.process.wait()
        self.process = None
        return code

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        self.process = None

    async def ended(self) -> int:
        assert self.process is not None
        async with asyncio.timeout(15):
            code = await self.process.wait()
        self.process = None
        return code

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every osascript call so far."""
        file = self.folder / "osascript.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def sent_texts(self) -> list[str]:
        return [call["arguments"][0] for call in self.calls if call["arguments"]]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The daemon's own log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def verdicts(self) -> list[str]:
        """What the bridge recorded of each admitted row, in order."""
        ledger = Path(self.env["MESH_HOME"]) / "bridge.db"
        return [row[0] for row in rows(ledger, "SELECT verdict FROM heard ORDER BY rowid")]

    def pretend_down_for(self, seconds: float) -> None:
        """Move the stopped bridge's memory of when it began and last listened into the past."""
        with contextlib.closing(sqlite3.connect(Path(self.env["MESH_HOME"]) / "bridge.db")) as link:
            link.execute(
                "UPDATE place SET born_at = born_at - 9 * :s, listened_at = listened_at - :s",
                {"s": seconds},
            )
            link.commit()

    async def passed_over(self, count: int) -> None:
        """Wait until so many admitted rows have their verdict."""
        await until(lambda: len(self.verdicts()) >= count)


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as link:
        try:
            return link.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []


async def until(condition: Callable[[], Any], *, timeout_s: float = 15.0) -> Any:
    """Wait for something no event tells of."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (result := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"not in {timeout_s} s"
        await asyncio.sleep(0.02)
    return result


@contextlib.asynccontextmanager
async def bridge_bench(
    folder: Path,
    env: dict[str, str],
    *,
    release: Release = Release.TAHOE,
    allow: list[str] | None = None,
    own: list[str] | None = None,
    **config: Any,
) -> AsyncIterator[Bench]:
    """A bench whose daemon is configured and not started; whatever runs at the end is ended."""
    own = [] if own is None else own
    settings = {
        "chat_db": str(folder / "messages" / "chat.db"),
        "osascript": str(folder / "messages" / "osascript"),
        "allow": [OWNER] if allow is None else allow,
        "self_handles": own,
        "poll_ms": 50,
        "send_timeout_s": 3.0,
        "verify_s": 3.0,
        "max_per_minute": 1000,
        **config,
    }
    async with (
        serving(folder / "messages", owner=OWNER, own=own, release=release) as messages,
        running_hub() as hub,
    ):
        _write_config(Path(env["MESH_HOME"]), settings)
        bench = Bench(
            world=messages.world,
            hub=hub,
            folder=folder / "messages",
            env={**env, "MESH_HUB_URL": hub.url, "MESH_TOKEN": hub.token},
            log=folder / "imsgd.log",
        )
        try:
            yield bench
        finally:
            if bench.process is not None:
                await bench.kill()


def _write_config(home: Path, settings: dict[str, Any]) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    file = home / "mesh.toml"
    file.write_text("[bridge]\n" + "\n".join(lines) + "\n")
    file.chmod(0o600)
