"""Who answers at an address: its certificate, whether it is the expected one, and who vouches."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.enroll.invitation import InvitationError
from common.client import HubUnreachableError

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Certificate:
    der: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex: what an invitation and `hub.pin` hold."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def pem(self) -> str:
        return ssl.DER_cert_to_PEM_cert(self.der)


def read_certificate(url: str, context: ssl.SSLContext | None = None) -> Certificate:
    """What the server at `url` shows; with `context` only if that accepts it.

    Nothing is sent but the handshake. Raises HubUnreachableError, and InvitationError when the
    certificate is not accepted.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_S) as raw,
            (context or _any_certificate()).wrap_socket(raw, server_hostname=host) as tls,
        ):
            return Certificate(tls.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        raise InvitationError(
            f"the certificate at {url} is not trusted here ({error.verify_message})"
        ) from error
    except OSError as error:
        raise HubUnreachableError(
            f"no answer from the hub at {url} ({error.strerror or error}). Is it running, and "
            "can this machine reach it?"
        ) from error


def check_pin(found: Certificate, pin: str, url: str) -> None:
    """Raise InvitationError unless this is the certificate the invitation names."""
    if not hmac.compare_digest(found.fingerprint, pin):
        raise InvitationError(
            f"the server at {url} is not the one that invited you: its certificate is "
            f"{found.fingerprint[:16]}…, the invitation names {pin[:16]}…. Nothing was sent. If "
            "the hub's certificate was renewed, ask for a new invitation (mesh invite)"
        )


def is_publicly_trusted(url: str) -> bool:
    """Whether this machine's own authorities vouch for the server under this very name."""
    try:
        read_certificate(url, ssl.create_default_context())
    except InvitationError:
        return False
    return True


def _any_certificate() -> ssl.SSLContext:
    """For a look only: what it shows is compared with the pin before anything is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
