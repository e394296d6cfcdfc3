"""The text of an invitation: where the hub is, how to know it, and a secret that works once.

`mesh1.<url>.<sha256 of the hub's certificate, or "plain">.<secret>`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from cli.errors import CliError
from common.client.credentials import Secret

PREFIX = "mesh1"
PLAIN = "plain"
"""In place of a fingerprint: loopback http, which never leaves the machine."""

_TEXT = re.compile(
    rf"^{PREFIX}\.(?P<url>https?://[^\s]+)\.(?P<pin>[0-9a-f]{{64}}|{PLAIN})"
    r"\.(?P<secret>mesh_invite_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43})$"
)


class InvitationError(CliError):
    """An invitation that cannot be used, or an address nobody can be invited to."""

    code = "invitation"


@dataclass(frozen=True, slots=True)
class InvitationText:
    """`token_id` is the secret's name: with it the hub is asked before the secret is sent."""

    url: str
    pin: str
    secret: Secret
    token_id: str

    def __str__(self) -> str:
        """The text to hand over; it holds the secret."""
        return f"{PREFIX}.{self.url}.{self.pin}.{self.secret.reveal()}"


def make_invitation(url: str, pin: str, token: str) -> InvitationText:
    return read_invitation(f"{PREFIX}.{url}.{pin}.{token}")


def read_invitation(text: str) -> InvitationText:
    """Raises InvitationError for anything but a whole invitation to a safe address."""
    match = _TEXT.match(text.strip())
    if match is None:
        raise InvitationError(
            "this is no invitation: it must be the whole line that `mesh invite` printed on the "
            "hub, beginning with mesh1."
        )
    url, pin = match["url"], match["pin"]
    refuse_open_http(url)
    if url.startswith("https:") and pin == PLAIN:
        raise InvitationError("this invitation to an https address names no certificate: refused")
    if url.startswith("http:") and pin != PLAIN:
        raise InvitationError("this invitation names a certificate for an http address: refused")
    return InvitationText(url, pin, Secret(match["secret"]), match["id"])


def refuse_open_http(url: str) -> None:
    """Raise InvitationError where a secret would cross a network readable."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_this_machine(url):
        raise InvitationError(
            f"{url} is neither https nor this machine: a token sent there could be read on the "
            "way. Give the hub TLS, or put `tailscale serve` or Caddy in front (docs/DEPLOY.md)"
        )
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise InvitationError(f"{url} is no address of a hub")


def is_this_machine(url: str) -> bool:
    """Whether an address can only mean the machine it is used on."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
