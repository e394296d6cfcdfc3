"""The demo's processes: started together, watched while it runs, all ended with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cli.demo.guardian import MARK
from cli.demo.phone import Phone
from cli.demo.setting import NODES, OWNER, Setting, free_port
from cli.errors import CliError
from cli.programs import program
from common.client import Credentials, HubClient, HubError, HubUnreachableError, OperatorApi, Secret
from common.paths import make_private_dir, write_private_file
from common.proc import signal_group
from common.wire.admin import NewToken, Role

READY_S = 30.0
LOOK_EVERY_S = 0.05
END_S = 4.0


class Stage:
    """The running processes of one demo, by name."""

    def __init__(self, setting: Setting, env: Mapping[str, str]) -> None:
        self.setting = setting
        self._env = env
        self._processes: dict[str, Process] = {}
        self._guardian: Process | None = None
        self.client: HubClient | None = None

    @property
    def hub(self) -> OperatorApi:
        if self.client is None:
            raise RuntimeError("the stage is not set")
        return OperatorApi(self.client)

    @property
    def phone(self) -> Phone:
        return Phone(self.setting.messages_dir, self.setting.environment(self._env))

    async def set(self) -> None:
        """Start everything and wait until the mesh could be texted; raises CliError."""
        setting, env = self.setting, self.setting.environment(self._env)
        self._guardian = await self._start_guardian()
        setting.write_config()
        make_private_dir(setting.paths.tokens_dir)
        serve = program(
            "imsgd.simulated", "serve", "--dir", str(setting.messages_dir), "--owner", OWNER
        )
        await self.start("messages", serve, env)
        token = await self._first_token(env)
        await self.start("hubd", program("hubd"), env)
        self.client = HubClient(Credentials(setting.url, Secret(token)))
        await self._until("the hub answers", self._hub_answers)
        await self._write_tokens()
        for name in NODES:
            node_env = setting.node_environment(self._env, name)
            await self.start(f"agentd-{name}", program("agentd"), node_env)
        await self._until("Messages has its database", self._has_messages)
        await self.start("imsgd", program("imsgd"), env)
        await self._until("all nodes and the bridge have reported", self._all_reported)

    async def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Process:
        """Start a process in a group of its own, its output in the demo's logs."""
        log = os.open(
            self.setting.paths.logs_dir / f"{name}.log",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
            0o600,
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=dict(env),
                cwd=self.setting.home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self.entrust("group", process.pid)
        self._processes[name] = process
        return process

    def entrust(self, kind: str, pid: int) -> None:
        """Have the guardian end this one too, should the demo be killed."""
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.write(f"{kind} {pid}\n".encode())

    async def strike(self) -> None:
        """End everything: the hub last, so that the others can report their end to it."""
        hub = self._processes.pop("hubd", None)
        await _end(list(self._processes.values()))
        if self.client is not None:
            await self.client.close()
        if hub is not None:
            await _end([hub])
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            await self._guardian.wait()

    def failed(self) -> str | None:
        """The name of a process that ended by itself."""
        for name, process in self._processes.items():
            if process.returncode is not None:
                return name
        return None

    def complaints(self, name: str, lines: int = 5) -> str:
        """The end of a process's log, for a person."""
        log = self.setting.paths.logs_dir / f"{name}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(f"  {name}: {line}" for line in text.splitlines()[-lines:])

    async def _start_guardian(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *program("cli.demo.guardian", str(self.setting.home)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    async def _first_token(self, env: Mapping[str, str]) -> str:
        process = await asyncio.create_subprocess_exec(
            *program("hubd", "token", "new", "--role", Role.OPERATOR),
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, error = await process.communicate()
        finally:
            if process.returncode is None:  # else it would make the demo's folder anew
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise CliError(f"the hub could not issue a token: {error.decode().strip()[-300:]}")
        token = out.decode().strip()
        write_private_file(self.setting.paths.token_file(Role.OPERATOR), token + "\n")
        return token

    async def _write_tokens(self) -> None:
        wanted = [NewToken(role=Role.NODE, name=name) for name in NODES]
        for request in (*wanted, NewToken(role=Role.BRIDGE)):
            issued = await self.hub.new_token(request)
            file = self.setting.paths.token_file(request.role, request.name)
            write_private_file(file, issued.token + "\n")

    async def _hub_answers(self) -> bool:
        try:
            await self.hub.nodes()
        except (HubUnreachableError, HubError):
            return False
        return True

    async def _has_messages(self) -> bool:
        return (self.setting.messages_dir / "osascript").exists()

    async def _all_reported(self) -> bool:
        snapshot = await self.hub.snapshot()
        return {node.name for node in snapshot.nodes} >= set(NODES) and (
            snapshot.bridge.reported_at is not None
        )

    async def _until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(READY_S):
                while not await condition():
                    if name := self.failed():
                        raise CliError(f"{name} ended by itself.\n{self.complaints(name)}")
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError as error:
            logs = "\n".join(self.complaints(name, 2) for name in self._processes)
            raise CliError(f"after {READY_S:.0f} s it is not so that {what}.\n{logs}") from error


async def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        signal_group(process.pid, signal.SIGTERM)
    exits = [asyncio.ensure_future(process.wait()) for process in processes]
    if exits:
        await asyncio.wait(exits, timeout=END_S)
    for process in processes:
        signal_group(process.pid, signal.SIGKILL)
    await asyncio.gather(*exits)


def new_home() -> Path:
    """A folder of the demo's own, mode 0700, under its real name (macOS links /tmp)."""
    return Path(tempfile.mkdtemp(prefix=MARK)).resolve()


@asynccontextmanager
async def staged(env: Mapping[str, str], *, claude: str | None) -> AsyncIterator[Stage]:
    """A mesh to play with for as long as the block runs; nothing of it stays."""
    stage = Stage(Setting(home=new_home(), port=free_port(), claude=claude), env)
    try:
        await stage.set()
        yield stage
    finally:
        await asyncio.shield(asyncio.ensure_future(stage.strike()))
        shutil.rmtree(stage.setting.home, ignore_errors=True)
