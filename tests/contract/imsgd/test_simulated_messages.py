"""The simulated Messages as its own process: what a demo and a phone's screen are made of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from imsgd.osascript import SEND_TO_CHAT, Osascript
from imsgd.typedstream import read_text

SIMULATED = [sys.executable, "-m", "imsgd.simulated"]
OWNER = "+15555550100"
CHAT = f"iMessage;-;{OWNER}"


@contextlib.asynccontextmanager
async def serving(folder: Path, *options: str) -> AsyncIterator[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *SIMULATED, "serve", "--dir", folder, *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def run(*words: object) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *SIMULATED, *map(str, words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_conversation_can_be_played_and_watched(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    async with serving(folder) as ready:
        watcher = await asyncio.create_subprocess_exec(
            *SIMULATED, "tail", "--dir", folder, "--json", stdout=asyncio.subprocess.PIPE
        )
        assert watcher.stdout is not None
        _, out, _ = await run("text", "--dir", folder, "Hello mesh")
        written = json.loads(out)
        heard = json.loads(await watcher.stdout.readline())
        assert (heard["direction"], heard["text"]) == ("in", "Hello mesh")
        assert (heard["guid"], heard["rowid"]) == (written["guid"], written["rowid"])

        osascript = Osascript(ready["osascript"], 5.0, {})
        result = await osascript.run(SEND_TO_CHAT, '#1 "hello" & back\n-n', CHAT)
        assert (result.status, result.stderr) == (0, "")
        said = json.loads(await watcher.stdout.readline())
        assert (said["direction"], said["text"], said["chat"]) == (
            "out",
            '#1 "hello" & back\n-n',
            CHAT,
        )
        await run("tapback", "--dir", folder, "like", "--on", said["guid"])
        reaction = json.loads(await watcher.stdout.readline())
        assert (reaction["kind"], reaction["reply_to"]) == ("tapback", said["guid"])
        watcher.terminate()
        await watcher.wait()

        with contextlib.closing(sqlite3.connect(ready["chat_db"])) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            query = "SELECT text, attributedBody FROM message WHERE guid = ?"
            text, body = database.execute(query, (written["guid"],)).fetchone()
        assert text is None
        assert read_text(body) == "Hello mesh"
    assert not (folder / "control.sock").exists()


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("no-chat", -1728),
        ("not-authorised", -1743),
        ("not-running", -600),
        ("event-timeout", -1712),
    ],
)
async def test_a_failure_reads_like_the_real_one(tmp_path: Path, mode: str, number: int) -> None:
    async with serving(tmp_path / "messages") as ready:
        await run("mode", "--dir", tmp_path / "messages", mode, "--times", 1)
        result = await Osascript(ready["osascript"], 5.0, {}).run(SEND_TO_CHAT, "hi", CHAT)
        assert (result.status, result.error_number) == (1, number)
        assert "execution error" in result.stderr


async def test_a_script_given_in_lines_is_understood(tmp_path: Path) -> None:
    async with serving(tmp_path / "messages") as ready:
        process = await asyncio.create_subprocess_exec(
            ready["osascript"], "-e", 'tell application "Messages"', "-e", "count of accounts",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert (process.returncode, out) == (0, b"1\n")


async def test_a_script_cut_short_sends_nothing(tmp_path: Path) -> None:
    """As of a bridge that was killed between starting osascript and handing it the script."""
    async with serving(tmp_path / "messages") as ready:
        osascript = Osascript(ready["osascript"], 5.0, {})
        for script in ("", SEND_TO_CHAT[:-9]):
            result = await osascript.run(script, "lost", CHAT)
            assert (result.status, result.error_number) == (1, -2741)
        watcher = await asyncio.create_subprocess_exec(
            *SIMULATED, "tail", "--dir", tmp_path / "messages", "--json", stdout=subprocess.PIPE
        )
        assert watcher.stdout is not None
        await osascript.run(SEND_TO_CHAT, "sent", CHAT)
        assert json.loads(await watcher.stdout.readline())["text"] == "sent"
        watcher.terminate()
        await watcher.wait()


async def test_without_a_server_the_phone_says_how_to_start_one(tmp_path: Path) -> None:
    code, _, err = await run("text", "--dir", tmp_path, "Hello?")
    assert code == 1
    assert "imsgd.simulated serve" in err
    assert "Traceback" not in err


async def test_a_folder_with_a_long_name_works_too(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 90) / "messages"
    async with serving(folder, "--own", OWNER, "--shape", "B"):
        code, out, _ = await run("text", "--dir", folder, "Hello me")
        assert code == 0
        assert json.loads(out)["rowid"] > 0
