"""The server: routes a request to its scenario, sends the reply and keeps the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from tests.fakes.model_api import http, messages
from tests.fakes.model_api.books import Books, Served, Usage
from tests.fakes.model_api.http import Request
from tests.fakes.model_api.scenarios import Fault, Hang, Reply, Say, plan, read_situation, usage_for


class ModelApi:
    """Scripted answers on a loopback port; use through `serve_model_api`.

    `override` replaces the marker for every request until it is set to None again.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self.books = Books()
        self.override: tuple[str, dict[str, Any]] | None = None
        self._now_s = now_s
        self._ids = count(1)
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the model API is not started; use serve_model_api()")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", port, limit=2**24, backlog=64
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served outside a task")
        self._open.add(task)
        try:
            while request := await http.read_request(reader):
                await self._answer(request, writer)
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        match request.method, request.path:
            case "POST", "/v1/messages":
                await self._message(request.json(), writer)
            case "POST", "/v1/messages/count_tokens":
                await http.send_json(writer, 200, {"input_tokens": len(request.body) // 4})
            case "GET", "/_control/served":
                await http.send_json(writer, 200, [s.as_dict() for s in self.books.served])
            case "GET", "/_control/requests":
                await http.send_json(writer, 200, self.books.requests)
            case "POST", "/_control/scenario":
                wanted = request.json()
                name = wanted.get("name")
                self.override = (name, wanted.get("args", {})) if name else None
                await http.send_json(writer, 200, {"ok": True})
            case "POST", "/_control/reset":
                self.books.reset()
                self.override = None
                await http.send_json(writer, 200, {"ok": True})
            case "HEAD", _:
                writer.write(http.head(200, {"content-length": "0"}))
                await writer.drain()
            case _:
                error = {"type": "not_found_error", "message": f"no route {request.path}"}
                await http.send_json(writer, 404, {"type": "error", "error": error})

    async def _message(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.books.note_request(body)
        name, situation = read_situation(body, self._now_s())
        if self.override is not None:
            name = self.override[0]
            situation = type(situation)(
                situation.step,
                self.override[1],
                situation.prompts,
                situation.tool_results,
                situation.now_s,
            )
        exchange = Exchange(self.books, writer, body, name, situation.step, next(self._ids))
        await exchange.serve(plan(name, situation))


class Exchange:
    """One request to /v1/messages and its reply."""

    def __init__(
        self,
        books: Books,
        writer: asyncio.StreamWriter,
        body: dict[str, Any],
        scenario: str,
        step: int,
        number: int,
    ) -> None:
        self._books = books
        self._writer = writer
        self._model = str(body.get("model", "unknown"))
        self._stream = bool(body.get("stream"))
        self._scenario = scenario
        self._step = step
        self._headers = {"request-id": f"req_{number:08d}"}
        self._message_id = f"msg_{number:08d}"

    async def serve(self, reply: Reply) -> None:
        match reply:
            case Fault():
                await self._fault(reply)
            case Hang():
                await self._hang(reply)
            case Say():
                await asyncio.sleep(reply.delay_s)
                await (self._stream_say(reply) if self._stream else self._whole_say(reply))

    def _book(self, status: int, usage: Usage, complete: bool) -> None:
        self._books.served.append(
            Served(self._model, self._scenario, self._step, status, usage, complete)
        )

    async def _fault(self, fault: Fault) -> None:
        self._book(fault.status, Usage(), complete=True)
        error = {"type": "error", "error": {"type": fault.kind, "message": fault.message}}
        await http.send_json(self._writer, fault.status, error, self._headers | fault.headers)

    async def _hang(self, hang: Hang) -> None:
        if hang.pieces and self._stream:
            say = Say("x" * messages.PIECE_CHARS * (hang.pieces + 1), cut_after=None)
            await self._begin(say, hang.pieces)
        await asyncio.Event().wait()

    async def _begin(self, say: Say, pieces: int) -> None:
        usage = usage_for(self._step)
        self._book(
            200,
            Usage(
                usage.input_tokens,
                1,
                usage.cache_read_input_tokens,
                usage.cache_creation_input_tokens,
            ),
            complete=False,
        )
        await http.open_stream(self._writer, self._headers)
        sent = 0
        for event, is_piece in messages.stream_events(say, self._message_id, self._model, usage):
            sent += is_piece
            if sent > pieces:
                return
            await http.send_chunk(self._writer, messages.sse(event))

    async def _whole_say(self, say: Say) -> None:
        usage = usage_for(self._step)
        self._book(200, usage, complete=True)
        body = messages.whole_message(say, self._message_id, self._model, usage)
        await http.send_json(self._writer, 200, body, self._headers)

    async def _stream_say(self, say: Say) -> None:
        if say.cut_after is not None:
            await self._begin(say, say.cut_after)
            self._writer.transport.abort()
            raise ConnectionAbortedError("cut as scripted")
        usage = usage_for(self._step)
        await http.open_stream(self._writer, self._headers)
        served = Served(self._model, self._scenario, self._step, 200, Usage(), complete=False)
        self._books.served.append(served)
        at = len(self._books.served) - 1
        for event, is_piece in messages.stream_events(say, self._message_id, self._model, usage):
            if is_piece and say.piece_delay_s:
                await asyncio.sleep(say.piece_delay_s)
            await http.send_chunk(self._writer, messages.sse(event))
            if event["type"] == "message_start":
                started = Usage(
                    usage.input_tokens,
                    1,
                    usage.cache_read_input_tokens,
                    usage.cache_creation_input_tokens,
                )
                self._books.served[at] = Served(
                    self._model, self._scenario, self._step, 200, started, complete=False
                )
        self._books.served[at] = Served(
            self._model, self._scenario, self._step, 200, usage, complete=True
        )
        await http.close_stream(self._writer)


@asynccontextmanager
async def serve_model_api(port: int = 0) -> AsyncIterator[ModelApi]:
    """Run a model API for the length of the block."""
    api = ModelApi()
    await api.start(port)
    try:
        yield api
    finally:
        await api.stop()
