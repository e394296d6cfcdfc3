"""What `mesh init` decides: the tables of a new `mesh.toml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cli.errors import CliError

NODE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_MAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_PHONE = re.compile(r"^\+[1-9][0-9]{6,14}$")


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
    if not NODE_NAME.match(choices.name):
        raise CliError(
            f"{choices.name!r} cannot name a node: use letters, digits, dots and dashes, at most "
            "64, such as Rex."
        )
    for handle in (*choices.allow, *choices.self_handles):
        if not (_MAIL.match(handle) or _PHONE.match(handle)):
            raise CliError(
                f"{handle!r} is neither a mail address nor a phone number with its country code, "
                "such as +15551234567."
            )
    if choices.bridge and not (choices.allow or choices.self_handles):
        raise CliError(
            "the bridge needs to know whom to hear: --allow +15551234567 (your iPhone's number "
            "or Apple ID), or --self if you text yourself."
        )
    if not choices.hub and not choices.hub_url:
        raise CliError("a machine without the hub needs its address: --hub-url https://hub.example")


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
