"""`mesh invite` and `mesh join`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from cli.commands.nodes import SPAN
from cli.enroll.certificate import Certificate, check_pin, is_publicly_trusted, read_certificate
from cli.enroll.invitation import (
    PLAIN,
    InvitationError,
    InvitationText,
    is_this_machine,
    make_invitation,
    read_invitation,
    refuse_open_http,
)
from cli.errors import CliError, SetUpError
from cli.output import json_option, print_json, span
from cli.session import Session, pass_session
from cli.setup.edit import Values, set_values
from common.client import Credentials, HubClient, Secret
from common.client.http import tls_context
from common.names import default_node_name
from common.paths import MeshPaths, make_private_dir, write_private_file
from common.wire.admin import (
    Invitation,
    InvitationState,
    IssuedToken,
    JoinMesh,
    NewToken,
    Role,
)

GRANTED = tuple(role.value for role in Role if role is not Role.INVITE)
DEFAULT_TTL_S = 900.0

_REFUSALS = {
    InvitationState.USED: "this invitation was used already, or taken back",
    InvitationState.EXPIRED: "this invitation has expired",
    InvitationState.UNKNOWN: "the hub does not know this invitation",
}


@click.command()
@click.option("--role", type=click.Choice(GRANTED), default="node", show_default=True)
@click.option("--name", help="The node's name; left out, the machine brings its own.")
@click.option("--ttl", "ttl_s", type=SPAN, default="15m", show_default=True, help="Good for.")
@click.option("--url", help="The hub's address as the other machine reaches it.")
@json_option
@pass_session
def invite(
    session: Session, role: str, name: str | None, ttl_s: float, url: str | None, as_json: bool
) -> None:
    """Print an invitation that brings one machine into this mesh, once.

    It names the hub and its certificate, so the other machine knows whom it talks to before it
    says anything.

    \b
    Examples:
      mesh invite                      then, on the other Mac: mesh join
      mesh invite --name Rex --ttl 1h
      mesh invite --role operator      for a machine that only looks and commands
    """
    credentials = session.credentials()
    address = (url or credentials.url).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise CliError(f"{address!r} is no address of a hub: it begins with https:// or http://")
    refuse_open_http(address)
    pin = _pin_of(Credentials(address, credentials.token, credentials.ca_file))
    request = NewToken(role=Role.INVITE, grants=Role(role), name=name, ttl_s=ttl_s)
    issued: IssuedToken = session.ask_hub(lambda hub: hub.new_token(request))
    text = str(make_invitation(address, pin, issued.token))
    if as_json:
        print_json({"invitation": text, "id": issued.id, "expires_at": issued.expires_at})
        return
    click.echo(text)
    click.echo(f"Good once, for {span(ttl_s)}. There run: mesh join, and paste it.", err=True)
    if is_this_machine(address):
        click.echo(
            f"{address} is this machine's own address: no other can use it. For another machine "
            "give --url, or set hub.url (docs/DEPLOY.md).",
            err=True,
        )


def _pin_of(credentials: Credentials) -> str:
    """The fingerprint of the hub's certificate, as this machine trusts it."""
    context = tls_context(credentials)
    if context is None:
        return PLAIN
    return read_certificate(credentials.url, context).fingerprint


@click.command()
@click.option("--name", help="This node's name.  [default: agent.name, else the host's]")
@json_option
@pass_session
def join(session: Session, name: str | None, as_json: bool) -> None:
    """Join a mesh: asks for an invitation, or reads it from standard input.

    It is never taken as an argument, where every process of this machine could read it. The
    hub's certificate is compared with the invitation before its secret is sent.

    \b
    Examples:
      mesh join
      pbpaste | mesh join --name Rex
    """
    invitation = read_invitation(_read_text())
    config = session.loaded.config
    if config.hub.run:
        raise SetUpError(
            "this machine runs a hub of its own. To join another one, set hub.run = false"
        )
    server = _verified(invitation)
    # An invitation is good once: what could fail afterwards is tried before.
    _edited(session.paths, _values(invitation, server, Role.NODE, "name"))
    make_private_dir(session.paths.config_dir)
    make_private_dir(session.paths.state_dir)
    make_private_dir(session.paths.tokens_dir)
    request = JoinMesh(name=name or config.agent.name or None, host=default_node_name())
    issued = asyncio.run(_exchange(invitation, server, session.paths, request))
    written = _keep(session.paths, invitation, server, issued)
    if as_json:
        print_json({"role": issued.role, "name": issued.name, "written": [str(f) for f in written]})
        return
    for file in written:
        click.echo(f"wrote {file}")
    next_step = "mesh up" if issued.role in (Role.NODE, Role.BRIDGE) else "mesh status"
    click.echo(f"Joined {invitation.url} as {issued.role} {issued.name}. Next: {next_step}")


def _read_text() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Invitation", hide_input=True, err=True))
    return sys.stdin.readline()


@dataclass(frozen=True, slots=True)
class _Server:
    """The hub's certificate, None for loopback http; and whether it is to be pinned.

    One that is renewed every few weeks must not be pinned where others vouch for it.
    """

    certificate: Certificate | None
    pinned: bool = False


def _verified(invitation: InvitationText) -> _Server:
    """Who answers, once it is known to be the one that invited; nothing is sent."""
    if invitation.pin == PLAIN:
        return _Server(None)
    certificate = read_certificate(invitation.url)
    check_pin(certificate, invitation.pin, invitation.url)
    return _Server(certificate, pinned=not is_publicly_trusted(invitation.url))


async def _exchange(
    invitation: InvitationText, server: _Server, paths: MeshPaths, request: JoinMesh
) -> IssuedToken:
    """Ask whether the invitation is open, then send its secret, to that certificate only."""
    ca_file = None
    if server.certificate is not None:
        ca_file = paths.state_dir / ".joining.pem"
        write_private_file(ca_file, server.certificate.pem)
    try:
        # The look comes without the secret: from a client of its own, with nothing to say.
        async with HubClient(Credentials(invitation.url, Secret("none"), ca_file)) as client:
            path = f"/v1/invitations/{invitation.token_id}"
            state = (await client.call("GET", path, Invitation)).state
        if state is not InvitationState.OPEN:
            raise InvitationError(f"{_REFUSALS[state]}. On the hub run: mesh invite")
        async with HubClient(Credentials(invitation.url, invitation.secret, ca_file)) as client:
            return await client.call("POST", "/v1/join", IssuedToken, body=request)
    finally:
        if ca_file is not None:
            ca_file.unlink(missing_ok=True)


def _keep(
    paths: MeshPaths, invitation: InvitationText, server: _Server, issued: IssuedToken
) -> list[Path]:
    """Write token, certificate and configuration; returns the files, the token's first."""
    name = issued.name if issued.role is Role.NODE else None
    if name is not None and Path(name).name != name:
        raise InvitationError(f"the hub calls this machine {name!r}, which can be no file's name")
    written = [paths.token_file(issued.role, name)]
    write_private_file(written[0], issued.token + "\n")
    if server.pinned and server.certificate is not None:
        write_private_file(paths.pinned_cert_file, server.certificate.pem)
        written.append(paths.pinned_cert_file)
    before, after = _edited(paths, _values(invitation, server, issued.role, issued.name))
    if after != before:
        write_private_file(paths.config_file, after)
        written.append(paths.config_file)
    return written


def _values(invitation: InvitationText, server: _Server, role: Role, name: str) -> Values:
    pin = server.certificate.fingerprint if server.certificate and server.pinned else ""
    hub = {"url": invitation.url, "pin": pin}
    match role:
        case Role.NODE:
            return {"hub": hub, "agent": {"run": True, "name": name}}
        case Role.BRIDGE:
            return {"hub": hub, "bridge": {"run": True}}
        case _:
            return {"hub": hub}


def _edited(paths: MeshPaths, values: Values) -> tuple[str, str]:
    """`mesh.toml` as it is and as it will be; raises SetUpError."""
    before = paths.config_file.read_text("utf-8") if paths.config_file.exists() else ""
    return before, set_values(before, values)
