"""Serving: the socket, Hypercorn around the app, and an end that does not wait for anybody.

Hypercorn waits for open connections when it stops, for ever on Python 3.12 and later
(pgjones/hypercorn#308), and a client that does not read blocks it on every version. So the streams
are ended first, and after `GIVE_UP_S` the server is cancelled; what must not be lost, the store,
is owned outside of it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config as HypercornConfig
from quart import Quart

from common.errors import ConfigError
from hubd.access.hosts import is_loopback
from hubd.access.limits import MAX_HEADER_BYTES

logger = logging.getLogger(__name__)

GIVE_UP_S = 0.7
GRACEFUL_S = 0.5
CUT_ROUNDS = 8
CUT_ROUND_S = 0.05
KEEP_ALIVE_S = 75
"""Above the client's own expiry of 60 s, so that a kept connection is never closed by the hub
while a request is on its way."""


@dataclass(frozen=True, slots=True)
class Tls:
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`127.0.0.1:8420`, `[::1]:8420`, `localhost:0`; raises ConfigError."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise ConfigError(
                f"hub.bind: {text!r} is no address and port; write it as 127.0.0.1:8420"
            )
        return cls(host, int(port))


def find_tls(cert: str, key: str) -> Tls | None:
    """Check certificate and key as the server will use them; raises ConfigError."""
    if not cert and not key:
        return None
    if not cert or not key:
        raise ConfigError("hub.tls_cert and hub.tls_key belong together: set both, or neither")
    tls = Tls(Path(cert).expanduser(), Path(key).expanduser())
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"hub.tls_cert {tls.cert} and hub.tls_key {tls.key} cannot be used: {error}"
        ) from error
    return tls


def refuse_open_bind(address: Address, tls: Tls | None) -> None:
    """Raise ConfigError for an address others can reach without TLS."""
    if tls is None and not is_loopback(address.host):
        raise ConfigError(
            f"hub.bind {address.host}:{address.port} can be reached from other machines, and "
            "without TLS tokens would cross the network readable. Set hub.tls_cert and "
            "hub.tls_key, or bind 127.0.0.1 and put `tailscale serve` or Caddy in front"
        )


def listen(address: Address) -> socket.socket:
    """A listening socket; raises ConfigError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=256)
    except OSError as error:
        raise ConfigError(
            f"hub.bind {address.host}:{address.port} cannot be listened on "
            f"({error.strerror or error}). Choose another port, or end what uses it"
        ) from error


def url_of(listener: socket.socket, tls: Tls | None) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def hypercorn_config(listener: socket.socket, tls: Tls | None) -> HypercornConfig:
    """How Hypercorn is to serve: one worker, HTTP/1.1, no log of addresses, no server header.

    Takes `listener` over.
    """
    config = HypercornConfig()
    config.bind = [f"fd://{listener.detach()}"]  # Hypercorn closes it
    config.workers = 1  # one writer and an in-memory fan-out
    config.graceful_timeout = GRACEFUL_S
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.keep_alive_max_requests = 10**9  # a node's connection is one for all its life
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.alpn_protocols = ["http/1.1"]
    if tls:
        config.certfile, config.keyfile = str(tls.cert), str(tls.key)
    return config


async def serve_until(
    app: Quart,
    listener: socket.socket,
    tls: Tls | None,
    *,
    stop: asyncio.Event,
    end_streams: Callable[[], None],
) -> None:
    """Serve until `stop` is set, then end all streams and leave within `GIVE_UP_S`.

    Takes `listener` over, and closes it first of all.
    """

    async def trigger() -> None:
        await stop.wait()
        end_streams()

    config = hypercorn_config(listener, tls)
    server = asyncio.create_task(serve(app, config, shutdown_trigger=trigger), name="hypercorn")
    stopping = asyncio.create_task(stop.wait(), name="await-stop")
    try:
        await asyncio.wait({server, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({server}, timeout=GIVE_UP_S)
    finally:
        stopping.cancel()
        cut = not server.done()
        if cut:
            _cut(server)
        await asyncio.wait({server, stopping})
    if not cut and (error := server.exception()) is not None:
        raise error


async def end_connections() -> None:
    """End what Hypercorn left behind of connections that were cut; the last thing of the process.

    Such a task cleans up in several steps, and each waits for a client that does not read. Being
    cancelled ends one step only, so `asyncio.run`, which cancels once, would wait for ever.
    """
    for _ in range(CUT_ROUNDS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CUT_ROUND_S)


def _cut(server: asyncio.Task[None]) -> None:
    """Leave the connections that do not end; what Hypercorn says of that is of no use."""
    logger.info("connections cut", extra={"reason": "they did not end in time"})
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: logger.debug("cut", extra={"context": context.get("message")})
    )
    server.cancel()
