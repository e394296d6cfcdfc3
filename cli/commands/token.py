"""`mesh token new|list|revoke`: through the hub when it answers, else on its database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from cli.amount import Amount
from cli.errors import SetUpError
from cli.output import age, json_option, print_json, print_table
from cli.programs import program, run_tool
from cli.session import Session, pass_session
from cli.setup.tokens import Wanted, issue_on_database
from common.client import HubError, HubUnreachableError
from common.errors import ConfigError
from common.wire.admin import IssuedToken, NewToken, Role, Token

T = TypeVar("T")

HTTP_UNAUTHORISED = 401


@click.group()
def token() -> None:
    """Issue, list and revoke tokens.

    Works through the hub when it answers, else (on the hub's machine) on its database.
    """


@token.command("new")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", help="The node's name for a node token, else a name to know it by.")
@click.option("--ttl-s", type=Amount(), help="Ends after that long.")
@json_option
@pass_session
def new(session: Session, role: str, name: str | None, ttl_s: float | None, as_json: bool) -> None:
    """Print a new token, this once: keep it in a file of mode 600.

    \b
    Example: (umask 077; mesh token new --role node --name Rex > node-Rex.token)
    """
    if role == Role.NODE and not name:
        raise click.UsageError("A node's token is bound to its name: --name Rex")
    request = NewToken(role=Role(role), name=name, ttl_s=ttl_s)

    def by_hub() -> str:
        issued: IssuedToken = session.ask_hub(lambda hub: hub.new_token(request))
        return issued.token

    def on_database() -> str:
        options = ["--ttl-s", str(ttl_s)] if ttl_s else []
        return issue_on_database(session.env, Wanted(request.role, name), *options)

    text = _by_hub_or_database(session, by_hub, on_database)
    if as_json:
        print_json({"token": text, "role": role, "name": name})
    else:
        click.echo(text)


@token.command("list")
@json_option
@pass_session
def list_tokens(session: Session, as_json: bool) -> None:
    """List tokens without their secrets."""

    def by_hub() -> list[Token] | str:
        return session.ask_hub(lambda hub: hub.tokens()).tokens

    def on_database() -> list[Token] | str:
        return run_tool(program("hubd", "token", "list"), session.env, what="mesh-hubd token list")

    found = _by_hub_or_database(session, by_hub, on_database)
    if isinstance(found, str):
        rows = [line.split("\t") for line in found.splitlines()]
        if as_json:
            keys = ("id", "role", "name", "created", "state")
            print_json([dict(zip(keys, row, strict=False)) for row in rows])
        else:
            print_table(["ID", "ROLE", "NAME", "CREATED", "STATE"], rows)
    elif as_json:
        print_json(found)
    else:
        now = session.clock.now()
        print_table(["ID", "ROLE", "NAME", ">AGE", ">USED", "STATE"], [_row(t, now) for t in found])


def _row(item: Token, now: float) -> tuple[str, ...]:
    state = "revoked" if item.revoked_at else "good"
    used = age(item.last_used_at, now)
    return (item.id, item.role, item.name, age(item.created_at, now), used, state)


@token.command("revoke")
@click.argument("token_id")
@pass_session
def revoke(session: Session, token_id: str) -> None:
    """Revoke a token by its id (see: mesh token list); it is refused from then on."""

    def by_hub() -> None:
        session.ask_hub(lambda hub: hub.revoke_token(token_id))

    def on_database() -> None:
        run_tool(
            program("hubd", "token", "revoke", token_id),
            session.env,
            what="mesh-hubd token revoke",
        )

    _by_hub_or_database(session, by_hub, on_database)
    click.echo(f"{token_id} is revoked.")


def _by_hub_or_database(
    session: Session, by_hub: Callable[[], T], on_database: Callable[[], T]
) -> T:
    """The hub's answer; without it, or with a token it no longer knows, the database's own.

    Who may read the hub's database may issue tokens anyway, so a lost operator token is no dead
    end. Raises SetUpError when the hub is on another machine.
    """
    try:
        return by_hub()
    except HubUnreachableError as error:
        reason = error.message
    except HubError as error:
        if error.hub_status != HTTP_UNAUTHORISED:
            raise
        reason = error.message
    except ConfigError as error:
        reason = error.message
    hub = session.loaded.config.hub  # a broken configuration ends here, with its own sentence
    if (hub.url and not hub.run) or session.env.get("MESH_HUB_URL"):
        raise SetUpError(f"{reason}. Or run this on the hub's own machine.")
    return on_database()
