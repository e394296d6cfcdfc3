"""A hub to measure and the plainest client: httpx costs as much as the hub it would measure."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from common.wire.admin import Role
from tests.contract.hubd.harness import HubProcess


class Line:
    """One kept HTTP/1.1 connection with a token."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, host: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._head = f"Host: {host}\r\nAuthorization: Bearer {token}\r\n"

    @classmethod
    async def open(cls, url: str, token: str) -> Self:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 24)
        return cls(reader, writer, token, host)

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON and return the answer; raises RuntimeError for any status but 2xx."""
        content = msgspec.json.encode(body)
        self._writer.write(
            f"POST {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        if head[9:10] != b"2":
            raise RuntimeError(answer.decode())
        return msgspec.json.decode(answer)

    async def open_stream(self, path: str) -> None:
        """Open a stream, to be read with `next_event`."""
        self._writer.write(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        await self._reader.readuntil(b"\r\n\r\n")

    async def next_event(self) -> bytes:
        """The bytes up to the end of the next message."""
        return await self._reader.readuntil(b"\n\n")

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def hub(home: Path | None = None) -> AsyncIterator[HubProcess]:
    """A started hub, in `home` or a folder that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        own = home or Path(folder) / "mesh"
        own.mkdir(mode=0o700, exist_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": os.getcwd()}
        process = HubProcess(own, env)
        try:
            await asyncio.to_thread(process.start)
            yield process
            await asyncio.to_thread(process.stop)
        finally:
            process.close()


async def operator(process: HubProcess) -> Line:
    return await Line.open(process.hub.url, await process.hub.token(Role.OPERATOR))


async def node(process: HubProcess, name: str, slots: int) -> Line:
    """A registered node that has just sent its heartbeat."""
    line = await Line.open(process.hub.url, await process.hub.token(Role.NODE, name))
    await line.post(f"/v1/nodes/{name}/register", {"slots": slots})
    await line.post(f"/v1/nodes/{name}/heartbeat", {})
    return line


def spread(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """Median with the lowest and highest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} {unit} ({low:.{digits}f}-{high:.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
