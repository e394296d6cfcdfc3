"""A hub reduced to what a node sees of it, over real HTTP, with everything it was told on record.

Bodies are decoded with the wire's own structs, so an agent that says something else fails here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from common.filenames import disposition
from common.wire.approvals import Approval, ApprovalKind, ApprovalState
from common.wire.nodes import (
    Applied,
    Ask,
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatReply,
    Lease,
    PostOutput,
    PostResult,
    Registered,
    RegisterNode,
    StartAttempt,
    TaskSpec,
)
from tests.fakes.model_api import http
from tests.fakes.model_api.http import Request

NODE = "Archon"
ASKED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class ScriptedHub:
    """Offers what a test queues and keeps what an agent says. `changed` wakes `until`."""

    heartbeat_s: float = 0.2
    stop_after_s: float = 240.0
    registrations: list[RegisterNode] = field(default_factory=list)
    heartbeats: list[Heartbeat] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    starts: list[tuple[int, StartAttempt]] = field(default_factory=list)
    outputs: list[tuple[int, PostOutput]] = field(default_factory=list)
    results: dict[int, PostResult] = field(default_factory=dict)
    asks: list[tuple[int, Ask]] = field(default_factory=list)
    kills: set[int] = field(default_factory=set)
    stale: set[int] = field(default_factory=set)
    away: bool = False
    frozen: bool = False
    foreign: bool = False
    """Something else answers at its address."""
    slow_start: bool = False
    files: dict[str, tuple[str | None, bytes]] = field(default_factory=dict)
    approvals: dict[str, Approval] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _leases: list[Lease] = field(default_factory=list)
    _next_fence: int = 1
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, limit=2**24
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    async def offer(self, prompt: str, **spec: Any) -> int:
        """Queue a task for the next claim; returns its fence (also its id)."""
        fence = self._next_fence
        self._next_fence += 1
        task = TaskSpec(**{"id": fence, "prompt": prompt} | spec)
        async with self.changed:
            self._leases.append(Lease(task=task, attempt=1, fence=fence, lease_s=60.0))
            self.changed.notify_all()
        return fence

    async def decide(self, code: str, state: ApprovalState, **fields: Any) -> None:
        """Answer a question as a person would."""
        async with self.changed:
            old = self.approvals[code]
            self.approvals[code] = msgspec.structs.replace(
                old, state=state, answered_at=ASKED_AT, answered_by="the test", **fields
            )
            self.changed.notify_all()

    async def until(self, condition: Callable[[], object], *, within_s: float = 20.0) -> None:
        """Wait until `condition` holds; it is looked at whenever something was said."""
        try:
            async with asyncio.timeout(within_s), self.changed:
                await self.changed.wait_for(lambda: bool(condition()))
        except TimeoutError:
            raise AssertionError(f"not within {within_s} s; results: {self.results}") from None

    async def result_of(self, fence: int, *, within_s: float = 20.0) -> PostResult:
        await self.until(lambda: fence in self.results, within_s=within_s)
        return self.results[fence]

    def output_text(self, fence: int) -> str:
        """The live output of an attempt, each item once."""
        seen: dict[int, str] = {}
        for of, output in self.outputs:
            if of == fence:
                for at, item in enumerate(output.items):
                    seen.setdefault(output.first + at, item.text)
        return "".join(seen[n] for n in sorted(seen))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while request := await http.read_request(reader):
                if self.away:
                    return
                if self.frozen:
                    await asyncio.Event().wait()
                if request.path.startswith("/v1/files/"):
                    await self._send_file(writer, request.path.rpartition("/")[2])
                    continue
                status, body = await self._unless_gone(self._answer(request), reader)
                await http.send_json(writer, status, msgspec.to_builtins(body))
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _unless_gone(
        self, answer: Coroutine[Any, Any, tuple[int, object]], reader: asyncio.StreamReader
    ) -> tuple[int, object]:
        """Give an answer up when its asker is gone: a dead agent must not be given work."""
        answering = asyncio.create_task(answer)
        gone = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise ConnectionResetError("the asker is gone")
            return answering.result()
        finally:
            answering.cancel()
            gone.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)

    async def _answer(self, request: Request) -> tuple[int, object]:
        if self.foreign:
            return 404, "nothing of that name here"
        if request.headers.get("authorization") != "Bearer scripted":
            return 401, {"error": "unauthorized", "message": "wrong token"}
        parts = request.path.strip("/").split("/")
        match parts:
            case ["v1", "nodes", name, verb] if name == NODE:
                return 200, await self._node(verb, request.body)
            case ["v1", "attempts", fence, verb]:
                return await self._attempt(int(fence), verb, request.body)
            case ["v1", "approvals", code]:
                return 200, await self._approval(code)
        return 404, {"error": "not_found", "message": request.path}

    async def _send_file(self, writer: asyncio.StreamWriter, file_id: str) -> None:
        if file_id not in self.files:
            await http.send_json(writer, 404, {"error": "not_found", "message": "no such file"})
            return
        name, content = self.files[file_id]
        headers = {
            "content-length": str(len(content)),
            "content-disposition": disposition(name) if name else "attachment",
        }
        writer.write(http.head(200, headers) + content)
        await writer.drain()

    async def _node(self, verb: str, body: bytes) -> object:
        match verb:
            case "register":
                await self._note(self.registrations, msgspec.json.decode(body, type=RegisterNode))
                return Registered(
                    heartbeat_s=self.heartbeat_s,
                    lease_s=60.0,
                    stop_after_s=self.stop_after_s,
                    hub_version="scripted",
                )
            case "heartbeat":
                beat = msgspec.json.decode(body, type=Heartbeat)
                await self._note(self.heartbeats, beat)
                return HeartbeatReply(kill=sorted(self.kills - self.results.keys()))
            case "claim":
                claim = msgspec.json.decode(body, type=Claim)
                await self._note(self.claims, claim)
                return await self._claimed(claim)
        raise AssertionError(f"no such call: {verb}")

    async def _claimed(self, claim: Claim) -> Claimed:
        born = len(self.registrations)
        with suppress(TimeoutError):
            async with asyncio.timeout(claim.wait_s), self.changed:
                await self.changed.wait_for(
                    lambda: (self._leases and claim.free_slots) or len(self.registrations) > born
                )
        if len(self.registrations) > born:
            return Claimed()  # asked by an agent that is gone
        taken = self._leases[: claim.free_slots]
        del self._leases[: claim.free_slots]
        return Claimed(leases=taken)

    async def _attempt(self, fence: int, verb: str, body: bytes) -> tuple[int, object]:
        if fence in self.stale:
            return 409, {"error": "fenced", "message": "another attempt took over"}
        match verb:
            case "start":
                await self._note(self.starts, (fence, msgspec.json.decode(body, type=StartAttempt)))
                if self.slow_start:
                    await asyncio.Event().wait()
            case "output":
                await self._note(self.outputs, (fence, msgspec.json.decode(body, type=PostOutput)))
            case "result":
                result = msgspec.json.decode(body, type=PostResult)
                async with self.changed:
                    if fence in self.results:
                        return 200, Applied(status="duplicate")
                    self.results[fence] = result
                    self.changed.notify_all()
            case "ask":
                return 200, await self._asked(fence, msgspec.json.decode(body, type=Ask))
        return 200, Applied(status="applied")

    async def _asked(self, fence: int, ask: Ask) -> Approval:
        code = f"K{len(self.asks) + 1}"
        approval = Approval(
            id=len(self.asks) + 1,
            code=code,
            kind=ApprovalKind(ask.kind),
            state=ApprovalState.PENDING,
            fence=fence,
            summary=ask.summary,
            detail=ask.detail,
            choices=ask.choices,
            asked_at=ASKED_AT,
        )
        self.approvals[code] = approval
        await self._note(self.asks, (fence, ask))
        return approval

    async def _approval(self, code: str) -> Approval:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5), self.changed:
                await self.changed.wait_for(
                    lambda: self.approvals[code].state is not ApprovalState.PENDING
                )
        return self.approvals[code]

    async def _note(self, record: list[Any], item: object) -> None:
        async with self.changed:
            record.append(item)
            self.changed.notify_all()


@asynccontextmanager
async def scripted_hub(**settings: Any) -> AsyncIterator[ScriptedHub]:
    hub = ScriptedHub(**settings)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
