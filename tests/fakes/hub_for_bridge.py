"""A scripted hub on loopback: the routes the bridge uses, and the faults a hub can have."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, Any]]

TOKEN = "mesh_bridge_test_0123456789abcdefghijklmnop"


@dataclass
class HubForBridge:
    """Remembers every request. `messages` holds one entry per guid, as the real hub does."""

    port: int = 0
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    """Name, media type and content by id."""
    on_message: Callable[[dict[str, Any]], None] | None = None
    message_answer: Answer | None = None
    ignores: bool = False
    """It does not listen to whoever wrote."""
    slow_files: int = 0
    """So many uploads take too long."""
    drop_replies: int = 0
    """So many answers to messages are cut off after they took effect."""
    token: str = TOKEN
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None
    _links: set[asyncio.Task[None]] = field(default_factory=set)
    _next_id: int = 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Go away: nobody listens, open requests are cut."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        self._server = None

    async def say(self, chat: str, text: str) -> int:
        """Put a reply into the outbox."""
        item_id = self._next_id
        self._next_id += 1
        async with self.changed:
            self.outbox.append({"id": item_id, "chat": chat, "text": text, "claims": 0})
            self.changed.notify_all()
        return item_id

    async def until(self, condition: Callable[[], Any], *, timeout_s: float = 15.0) -> Any:
        """Wait until `condition` is true after some request; fails loudly after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self.changed:
                while not (result := condition()):
                    await self.changed.wait()
                return result
        except TimeoutError:
            raise AssertionError(
                f"not in {timeout_s} s; {len(self.posts)} posts, the last {self.posts[-3:]};"
                f" {len(self.outcomes)} outcomes; the last report {self.reports[-1:]}"
            ) from None

    async def outcome(self, item_id: int, *, timeout_s: float = 15.0) -> dict[str, Any]:
        """The last report on a reply."""
        found: list[dict[str, Any]] = await self.until(
            lambda: self.outcomes.get(item_id), timeout_s=timeout_s
        )
        return found[-1]

    async def heard(self, *texts: str, timeout_s: float = 15.0) -> list[dict[str, Any]]:
        """The messages with these texts, once all are there."""
        return await self.until(
            lambda: (
                [m for m in self.messages.values() if m["text"] in texts]
                if set(texts) <= set(self.texts)
                else None
            ),
            timeout_s=timeout_s,
        )

    @property
    def texts(self) -> list[str]:
        """Every effect, in order."""
        return [self.messages[guid]["text"] for guid in self.order]

    @property
    def problems(self) -> list[str]:
        return [problem["id"] for problem in self.reports[-1]["problems"]] if self.reports else []

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        task.add_done_callback(self._links.discard)
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                _, path, _ = first.split(" ")
                if path.startswith("/v1/files"):
                    answer: Answer | None = self._store(path, headers, body)
                else:
                    answer = await self._answer(path, headers, json.loads(body or b"{}"))
                if answer is None:
                    break
                await _write(writer, *answer)
        writer.close()

    def _store(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if self.slow_files:
            self.slow_files -= 1
            return 408, {"error": "body_timeout", "message": "the body did not arrive in time"}
        file_id = f"file-{len(self.files) + 1}"
        name = parse_qs(urlsplit(path).query)["name"][0]
        self.files[file_id] = (name, headers["content-type"], body)
        return 201, {"id": file_id}

    async def _answer(
        self, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> Answer | None:
        if headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"error": "unauthorized", "message": "this token is unknown."}
        if path == "/v1/outbox/claim":
            return await self._claim(body)
        async with self.changed:
            try:
                return self._effect(path, body)
            finally:
                self.changed.notify_all()

    def _effect(self, path: str, body: dict[str, Any]) -> Answer | None:
        if path == "/v1/messages":
            self.posts.append(body)
            if self.message_answer is not None:
                return self.message_answer
            if self.ignores:
                return 200, {"status": "ignored", "task_id": None}
            duplicate = body["guid"] in self.messages
            if not duplicate:
                self.messages[body["guid"]] = body
                self.order.append(body["guid"])
                if self.on_message:
                    self.on_message(body)
            if self.drop_replies:
                self.drop_replies -= 1
                return None
            return 200, {"status": "duplicate" if duplicate else "accepted", "task_id": 1}
        if path == "/v1/bridge/status":
            self.reports.append(body)
            return 200, {"state": body["state"]}
        item_id = int(path.rpartition("/")[2])
        self.outcomes.setdefault(item_id, []).append(body)
        self.outbox = [item for item in self.outbox if item["id"] != item_id]
        return 200, {
            "id": f"out-{item_id}",
            "direction": "out",
            "chat": "",
            "text": "",
            "at": "2026-01-01T00:00:00Z",
            "state": body["outcome"],
        }

    async def _claim(self, body: dict[str, Any]) -> Answer:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(body["wait_s"]), self.changed:
                while not self.outbox or all(item["claims"] for item in self.outbox):
                    await self.changed.wait()
        items = [item for item in self.outbox if not item["claims"]]
        for item in items:
            item["claims"] += 1
        claimed = [{**item, "claim": f"c{item['id']}-{item['claims']}"} for item in items]
        return 200, {"items": claimed}

    async def offer_again(self) -> None:
        """Every claim ran out: what is not reported is offered to the next claim."""
        async with self.changed:
            for item in self.outbox:
                item["claims"] = 0
            self.changed.notify_all()


async def _write(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}"
    writer.write(head.encode() + b"\r\n\r\n" + raw)
    await writer.drain()


@contextlib.asynccontextmanager
async def running_hub() -> AsyncIterator[HubForBridge]:
    hub = HubForBridge()
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
