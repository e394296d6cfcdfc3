"""The server: routes a request to its scenario, sends the reply and keeps the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

from tests.fakes.model_api import http, messages, responses
from tests.fakes.model_api.books import Books, Served, Usage
from tests.fakes.model_api.http import Request
from tests.fakes.model_api.messages import PIECE_CHARS
from tests.fakes.model_api.responses import as_messages
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
            case "POST", "/v1/responses":
                await self._message(request.json(), writer, responses=True)
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

    async def _message(
        self, body: dict[str, Any], writer: asyncio.StreamWriter, *, responses: bool = False
    ) -> None:
        self.books.note_request(body)
        conversation = as_messages(body) if responses else body
        name, situation = read_situation(conversation, self._now_s())
        if self.override is not None:
            name = self.override[0]
            situation = replace(situation, args=self.override[1])
        kind = ResponsesExchange if responses else Exchange
        exchange = kind(self.books, writer, body, name, situation.step, next(self._ids))
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
        self._number = number
        self._headers = {"request-id": f"req_{number:08d}"}
        self._usage = usage_for(step)

    async def serve(self, reply: Reply) -> None:
        match reply:
            case Fault():
                await self._fault(reply)
            case Hang():
                if reply.pieces and self._stream:
                    await self._begin(Say("x" * PIECE_CHARS * (reply.pieces + 1)), reply.pieces)
                await asyncio.Event().wait()
            case Say() if reply.cut_after is not None and self._stream:
                await self._begin(reply, reply.cut_after)
                self._writer.transport.abort()
                raise ConnectionAbortedError("cut as scripted")
            case Say():
                await asyncio.sleep(reply.delay_s)
                await (self._stream_say(reply) if self._stream else self._whole_say(reply))

    def _events(self, say: Say) -> Iterator[tuple[dict[str, Any], bool]]:
        return messages.stream_events(say, self._message_id, self._model, self._usage)

    @property
    def _message_id(self) -> str:
        return f"msg_{self._number:08d}"

    def _fault_body(self, fault: Fault) -> dict[str, Any]:
        return {"type": "error", "error": {"type": fault.kind, "message": fault.message}}

    def _book(self, status: int, usage: Usage, *, complete: bool) -> int:
        """Note what is served; returns the record's place, to complete it later."""
        record = Served(self._model, self._scenario, self._step, status, usage, complete)
        self._books.served.append(record)
        return len(self._books.served) - 1

    async def _fault(self, fault: Fault) -> None:
        self._book(fault.status, Usage(), complete=True)
        headers = self._headers | fault.headers
        await http.send_json(self._writer, fault.status, self._fault_body(fault), headers)

    async def _begin(self, say: Say, pieces: int) -> None:
        """Open a stream and stop after `pieces`: billed so far is all but the output."""
        self._book(200, replace(self._usage, output_tokens=1), complete=False)
        await http.open_stream(self._writer, self._headers)
        sent = 0
        for event, is_piece in self._events(say):
            sent += is_piece
            if sent > pieces:
                return
            await http.send_chunk(self._writer, messages.sse(event))

    async def _whole_say(self, say: Say) -> None:
        self._book(200, self._usage, complete=True)
        body = messages.whole_message(say, self._message_id, self._model, self._usage)
        await http.send_json(self._writer, 200, body, self._headers)

    async def _stream_say(self, say: Say) -> None:
        at = self._book(200, replace(self._usage, output_tokens=1), complete=False)
        await http.open_stream(self._writer, self._headers)
        for event, is_piece in self._events(say):
            if is_piece and say.piece_delay_s:
                await asyncio.sleep(say.piece_delay_s)
            if event["type"] == "message_delta":  # it bills the output; the caller may leave then
                whole = replace(self._books.served[at], usage=self._usage, complete=True)
                self._books.served[at] = whole
            await http.send_chunk(self._writer, messages.sse(event))
        await http.close_stream(self._writer)


class ResponsesExchange(Exchange):
    """One request to /v1/responses and its reply."""

    def _events(self, say: Say) -> Iterator[tuple[dict[str, Any], bool]]:
        return responses.stream_events(say, self._number, self._usage)

    def _fault_body(self, fault: Fault) -> dict[str, Any]:
        return responses.fault_body(fault)


@asynccontextmanager
async def serve_model_api(port: int = 0) -> AsyncIterator[ModelApi]:
    """Run a model API for the length of the block."""
    api = ModelApi()
    await api.start(port)
    try:
        yield api
    finally:
        await api.stop()
