"""What a machine is called when nobody named it."""

from __future__ import annotations

import socket


def default_node_name(host: str | None = None) -> str:
    """The host name without its domain, as a node's name."""
    short = (host or socket.gethostname()).partition(".")[0]
    kept = "".join(char for char in short if char.isascii() and (char.isalnum() or char in "._-"))
    return kept.lstrip("._-")[:64] or "node"
