"""The hub as this machine reaches it: address, certificate, tokens, state, clock."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from cli.doctor.facts import Here, HubFacts, TokenFacts
from cli.setup.tokens import Wanted, wanted_tokens
from common.client import Credentials, HubClient, HubError, OperatorApi, Secret
from common.client.credentials import trusted_certificate
from common.client.http import tls_context
from common.clock import to_epoch
from common.config import Config, LoadedConfig
from common.errors import ConfigError, MeshError
from common.paths import read_private_file
from common.wire.admin import Role
from common.wire.events import Snapshot

IN_ALL_S = 1.0
REQUEST_S = 0.8
"""Together below what a check may take."""

Tokens = list[tuple[TokenFacts, Secret | None]]
_NOBODY = Secret("none")
_LATE = "no answer in time"


def hub(here: Here) -> HubFacts:
    """One request tells most; the tokens of the other programs are tried beside it."""
    config = here.config or Config()
    loaded = LoadedConfig(config, here.paths, {})
    url = (here.env.get("MESH_HUB_URL") or config.hub_url).rstrip("/")
    where = Credentials(url, _NOBODY, trusted_certificate(loaded))
    facts = asyncio.run(_look(where, _tokens(here, config)))
    pinned = bool(config.hub.pin)
    return replace(facts, pinned=pinned, pin_matches=_pin_matches(config, here))


async def _look(where: Credentials, tokens: Tokens) -> HubFacts:
    """Everything within `IN_ALL_S`: what did not come by then stays unknown."""
    facts = HubFacts(
        where.url, tls=where.url.startswith("https:"), tokens=tuple(facts for facts, _ in tokens)
    )
    try:
        async with asyncio.timeout(IN_ALL_S), HubClient(where, timeout_s=IN_ALL_S) as client:
            await client.call("GET", "/healthz", dict)
    except TimeoutError:
        return replace(facts, error=f"no answer from the hub at {where.url} within 2 s")
    except HubError as error:
        return replace(facts, error=error.message, code=error.hub_code)
    except MeshError as error:
        return replace(facts, error=error.message)
    tried, seen, days = await asyncio.gather(
        asyncio.gather(*(_try(where, *token) for token in tokens)),
        _see(where, tokens),
        asyncio.to_thread(_tls_days, where),
    )
    late = any(token.answer == _LATE for token in tried)
    return replace(facts, **{"tokens": tuple(tried), "tls_days_left": days, "slow": late} | seen)


async def _see(where: Credentials, tokens: Tokens) -> dict[str, Any]:
    """The state, by a token that may see it, and how far the hub's clock is ahead."""
    looking = next((secret for facts, secret in tokens if secret and facts.role in _LOOK), None)
    if looking is None:
        return {}
    began = time.time()
    try:
        credentials = Credentials(where.url, looking, where.ca_file)
        async with asyncio.timeout(REQUEST_S), HubClient(credentials) as client:
            snapshot: Snapshot = await OperatorApi(client).snapshot()
    except TimeoutError:
        return {"slow": True}
    except MeshError:
        return {}
    ended = time.time()
    return {
        "snapshot": snapshot,
        "offset_s": to_epoch(snapshot.at) - (began + ended) / 2,
        "certain_s": (ended - began) / 2,
    }


_LOOK = (Role.OPERATOR, Role.VIEWER)


def _tokens(here: Here, config: Config) -> Tokens:
    """The token each program of this machine will use; a person's from the environment first."""
    if text := here.env.get("MESH_TOKEN", "").strip():
        role = text.split("_")[1] if text.count("_") >= 3 else "operator"
        return [(TokenFacts("MESH_TOKEN", role), Secret(text))]
    found: Tokens = []
    for wanted in wanted_tokens(config):
        file = wanted.file(here.paths)
        viewer = here.paths.token_file(Role.VIEWER)
        if wanted.role is Role.OPERATOR and not file.exists() and viewer.exists():
            wanted, file = Wanted(Role.VIEWER), viewer
        if wanted.role is Role.OPERATOR and not file.exists() and not config.hub.run:
            continue  # a machine that only works needs nobody who commands
        try:
            text = read_private_file(file).strip()
            found.append((TokenFacts(file.name, wanted.role), Secret(text)))
        except ConfigError as error:
            found.append((TokenFacts(file.name, wanted.role, error.message), None))
    return found


async def _try(where: Credentials, facts: TokenFacts, secret: Secret | None) -> TokenFacts:
    """Every role may read the API's description: whoever may not has no good token."""
    if secret is None:
        return facts
    try:
        credentials = Credentials(where.url, secret, where.ca_file)
        async with asyncio.timeout(REQUEST_S), HubClient(credentials) as client:
            await client.call("GET", "/openapi.json", dict)
    except HubError as error:
        return replace(facts, good=False, answer=error.message)
    except TimeoutError:
        return replace(facts, answer=_LATE)
    except MeshError:
        return facts
    return replace(facts, good=True)


def _pin_matches(config: Config, here: Here) -> bool:
    if not config.hub.pin:
        return True
    try:
        der = ssl.PEM_cert_to_DER_cert(here.paths.pinned_cert_file.read_text("ascii"))
    except (OSError, ValueError):
        return False
    return hashlib.sha256(der).hexdigest() == config.hub.pin.lower()


def _tls_days(where: Credentials) -> float | None:
    if not where.url.startswith("https:"):
        return None
    parts = urlsplit(where.url)
    context = tls_context(where)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), REQUEST_S) as raw,
            (context or ssl.create_default_context()).wrap_socket(raw, server_hostname=host) as tls,
        ):
            ends = (tls.getpeercert() or {}).get("notAfter")
    except OSError:
        return None
    return (ssl.cert_time_to_seconds(str(ends)) - time.time()) / 86_400 if ends else None
