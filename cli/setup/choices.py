"""What `mesh init` decides: the tables of a new `mesh.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cli.errors import CliError
from common.config import Config
from common.handles import normalise

NODE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_MAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_BIND = re.compile(r"^(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):[0-9]{1,5}$")
_PHONE = re.compile(r"^\+[1-9][0-9]{6,14}$")


@dataclass(frozen=True, slots=True)
class Given:
    """The options of the command line; None, or nothing, where none was given."""

    hub: bool | None = None
    agent: bool | None = None
    bridge: bool | None = None
    name: str | None = None
    slots: int | None = None
    runner: str | None = None
    bind: str | None = None
    hub_url: str | None = None
    allow: tuple[str, ...] = ()
    self_handles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choices:
    """The answers, given or by default."""

    hub: bool
    agent: bool
    bridge: bool
    name: str
    slots: int
    runner: str
    bind: str
    hub_url: str
    allow: tuple[str, ...]
    self_handles: tuple[str, ...]


def check(choices: Choices) -> None:
    """Raise CliError for what no program would accept later."""
    _check_words(choices.name, choices.bind, (*choices.allow, *choices.self_handles))
    if choices.bridge and not (choices.allow or choices.self_handles):
        raise CliError(
            "the bridge needs to know whom to hear: --allow +15551234567 (your iPhone's number "
            "or Apple ID), or --self if you text yourself."
        )
    if not choices.hub and not choices.hub_url:
        raise CliError("a machine without the hub needs its address: --hub-url https://hub.example")


def _check_words(name: str | None, bind: str | None, handles: tuple[str, ...]) -> None:
    if bind is not None and not _BIND.match(bind):
        raise CliError(f"{bind!r} is no address and port; write it as 127.0.0.1:8420")
    if name is not None and not NODE_NAME.match(name):
        raise CliError(
            f"{name!r} cannot name a node: use letters, digits, dots and dashes, at most "
            "64, such as Rex."
        )
    for handle in handles:
        normal = normalise(handle)
        if not (_MAIL.match(normal) or _PHONE.match(normal)):
            raise CliError(
                f"{handle!r} is neither a mail address nor a phone number with its country code, "
                "such as +15551234567."
            )


def changes(given: Given, config: Config) -> dict[str, dict[str, Any]]:
    """By table and key, what the options say otherwise than the present configuration.

    Handles are added to those there are, and with them comes the bridge.
    """
    handles = (*given.allow, *given.self_handles)
    _check_words(given.name, given.bind, handles)
    wanted: dict[str, dict[str, Any]] = {
        "hub": {"run": given.hub, "url": given.hub_url, "bind": given.bind},
        "agent": {
            "run": given.agent, "name": given.name, "slots": given.slots, "runner": given.runner,
        },
        "bridge": {
            "run": True if handles and given.bridge is None else given.bridge,
            "allow": _with(config.bridge.allow, given.allow),
            "self_handles": _with(config.bridge.self_handles, given.self_handles),
        },
    }  # fmt: skip
    differing = {
        table: {
            key: value
            for key, value in keys.items()
            if value is not None and value != getattr(getattr(config, table), key)
        }
        for table, keys in wanted.items()
    }
    return {table: keys for table, keys in differing.items() if keys}


def _with(there: Iterable[str], more: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys((*there, *more)))


def tables(choices: Choices) -> dict[str, dict[str, Any]]:
    """What the file says; every other key keeps its default."""
    hub: dict[str, Any] = {"run": choices.hub}
    if choices.hub:
        hub["bind"] = choices.bind
    if choices.hub_url:
        hub["url"] = choices.hub_url
    agent: dict[str, Any] = {"run": choices.agent}
    if choices.agent:
        agent |= {"name": choices.name, "slots": choices.slots, "runner": choices.runner}
    # The hub checks handles as well, so they stand there too when the bridge is elsewhere.
    bridge: dict[str, Any] = {"run": choices.bridge, "allow": list(choices.allow)}
    if choices.self_handles:
        bridge["self_handles"] = list(choices.self_handles)
    return {"hub": hub, "agent": agent, "bridge": bridge}
