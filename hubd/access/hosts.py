"""Host and Origin: a web page that was led to this port by DNS or by fetch gets nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from hubd.access.errors import ForeignHostError, ForeignOriginError

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def host_of(header: str) -> str:
    """The name in a Host header, without port and brackets, lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, _, _ = text.partition(":")
    return name.rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether an address or name can only mean this machine."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class HostRules:
    """`names` from the configuration; the address a request came in on is always allowed."""

    names: frozenset[str] = frozenset()
    origins: frozenset[str] = field(default_factory=frozenset)

    def check_host(self, header: str | None, own_address: str) -> None:
        """Raise ForeignHostError unless the caller named this hub."""
        host = host_of(header or "")
        if host and (host == own_address or host in self.names):
            return
        if is_loopback(own_address) and is_loopback(host):
            return
        raise ForeignHostError(
            f"this hub is not called {host or '(nothing)'!r}. "
            "If that is its name, add it to hub.hosts in mesh.toml"
        )

    def check_origin(self, origin: str | None) -> None:
        """Raise ForeignOriginError for a browser page that is not on the list."""
        if origin is not None and origin not in self.origins:
            raise ForeignOriginError(
                "web pages may not call this hub. To allow one, add its origin to hub.origins"
            )
