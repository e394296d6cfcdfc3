"""The process that is Messages: owns chat.db and takes commands as JSON lines on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shlex
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from imsgd.simulated import standin
from imsgd.simulated.modes import Mode
from imsgd.simulated.schema import Release
from imsgd.simulated.store import MessageStore, NewRow
from imsgd.simulated.world import Shape, Timing, World

_SOCKET_PATH_LIMIT = 90
"""A socket's path must fit into some hundred bytes."""
_LINE_BYTES = 4 * 1024 * 1024


def socket_path(folder: Path) -> Path:
    """Beside the database, or in /tmp when that path would be too long."""
    beside = folder.absolute() / "control.sock"
    if len(os.fsencode(beside)) <= _SOCKET_PATH_LIMIT:
        return beside
    name = hashlib.sha256(os.fsencode(beside)).hexdigest()[:16]
    return Path("/tmp") / f"mesh-messages-{os.getuid()}-{name}.sock"  # TMPDIR may be long itself


def write_osascript(folder: Path) -> Path:
    """Put the stand-in executable into `folder`; it is `bridge.osascript`."""
    executable = folder.absolute() / "osascript"
    words = [sys.executable, "-I", "-S", standin.__file__, str(socket_path(folder))]
    executable.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    executable.chmod(0o700)
    return executable


class MessagesServer:
    """Serves one World; every osascript call is kept in `osascript.jsonl`, argv and all."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.stop = asyncio.Event()
        self._followers: set[asyncio.Task[None]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._followers.add(task)
            task.add_done_callback(self._followers.discard)
        try:
            while line := await reader.readline():
                command = json.loads(line)
                if command["do"] == "follow":
                    await self._follow(writer, command.get("after", 0))
                    return
                try:
                    reply = await self._do(command)
                except (KeyError, ValueError, IndexError) as error:
                    reply = {"error": f"{type(error).__name__}: {error}"}
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the other side went away, or the world ends
        finally:
            writer.close()

    async def end_followers(self) -> None:
        for task in self._followers:
            task.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)

    async def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        world = self.world
        options = {name: value for name, value in command.items() if name != "do"}
        match command["do"]:
            case "text":
                written = await world.text(**options)
                return {"rowid": written.rowid, "guid": written.guid}
            case "tapback":
                written = await world.tapback(**options)
                return {"rowid": written.rowid, "guid": written.guid}
            case "osascript":
                return self._osascript(options)
            case "mode":
                world.set_mode(Mode(options["name"]), times=options.get("times"))
            case "shape":
                world.shape = Shape(options["shape"])
            case "timing":
                world.timing = Timing(**options)
            case "restart":
                world.store.restart()
            case "rebuild":
                world.store.rebuild(**options)
            case "stop":
                self.stop.set()
            case unknown:
                raise ValueError(f"unknown command {unknown!r}")
        return {"ok": True}

    def _osascript(self, call: dict[str, Any]) -> dict[str, Any]:
        told = self.world.osascript(call["script"], call["arguments"])
        record = {**call, "at": time.time(), "mode": told.get("mode")}
        with (self.folder / "osascript.jsonl").open("a", encoding="utf-8") as calls:
            calls.write(json.dumps(record) + "\n")
        return told

    async def _follow(self, writer: asyncio.StreamWriter, after: int) -> None:
        """Every bubble with a higher row number, those to come included."""
        sent = 0
        while True:
            async with self.world.appeared:
                while sent >= len(self.world.bubbles):
                    await self.world.appeared.wait()
                fresh = self.world.bubbles[sent:]
            sent += len(fresh)
            for bubble in fresh:
                if bubble.rowid > after:
                    writer.write(json.dumps(bubble.as_dict()).encode() + b"\n")
            await writer.drain()


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *, owner: str, own: list[str], release: Release = Release.TAHOE
) -> AsyncIterator[MessagesServer]:
    """A running simulated Messages in `folder`, with a little history in its database."""
    world = _world(folder, owner, own, release)
    server = MessagesServer(world, folder)
    path = socket_path(folder)
    path.unlink(missing_ok=True)
    write_osascript(folder)
    listener = await asyncio.start_unix_server(server.answer, path, limit=_LINE_BYTES)
    path.chmod(0o600)
    try:
        yield server
    finally:
        listener.close()
        await server.end_followers()
        await world.close()
        path.unlink(missing_ok=True)


def _world(folder: Path, owner: str, own: list[str], release: Release) -> World:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = MessageStore(folder / "chat.db", release)
    world = World(store, owner=owner, own=own, now=time.time)
    if not store.execute("SELECT 1 FROM message LIMIT 1"):
        _write_history(world)
    return world


def _write_history(world: World) -> None:
    """What any Mac's database holds: somebody else's old message, and the owner's chat."""
    long_ago = time.time() - 30 * 24 * 3600
    stranger = world.store.direct_chat("+15555550199")
    row = NewRow("See you on Sunday", long_ago, handle="+15555550199")
    world.store.join(world.store.insert(row), stranger)
    world.store.direct_chat(world.owner)
    for handle in world.own:
        world.store.direct_chat(handle)
        columns = {"account": f"E:{handle}" if "@" in handle else f"P:{handle}"}
        sent = NewRow("Hello me", long_ago, from_me=True, columns=columns)
        world.store.join(world.store.insert(sent), stranger)
