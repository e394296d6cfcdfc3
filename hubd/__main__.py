"""`mesh-hubd`: builds the hub from its parts and runs it; and the tools for its database."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from common.clock import Clock, SystemClock, to_datetime
from common.config import Config, LoadedConfig, load_config
from common.errors import EXIT_FAILED, ConfigError, MeshError
from common.logs import log_to_stderr
from common.paths import MeshPaths, make_private_dir
from common.proc import single_instance, stop_on_signals
from common.supervise import Loop, Supervisor
from common.version import VERSION
from common.wire.admin import NewToken, Role
from hubd.access.guard import Guard
from hubd.access.hosts import HostRules, host_of
from hubd.access.limits import RateLimit
from hubd.access.lockout import Lockout
from hubd.app import Door, create_app
from hubd.calls import OpenCalls
from hubd.domain.actors import Actor
from hubd.ops.backup import (
    BackupError,
    BackupState,
    keep_backups,
    make_backup,
    restore,
)
from hubd.ops.figures import watch
from hubd.ops.identity import (
    DatabaseReplacedError,
    Identity,
    check_soundness,
    refuse_missing,
    watch_identity,
)
from hubd.ops.log_context import add_request_fields
from hubd.ops.metrics import Metrics
from hubd.ops.space import Space, watch_space
from hubd.server import (
    Address,
    Tls,
    end_connections,
    find_tls,
    listen,
    refuse_open_bind,
    serve_until,
    url_of,
)
from hubd.services.wiring import Services, build_services
from hubd.store.database import Database, open_database
from hubd.store.epoch import marks_path

logger = logging.getLogger("hubd")

T = TypeVar("T")

DAEMON = "hubd"
CONSOLE = Actor(Role.OPERATOR, "console", via="console")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="mesh-hubd")
@click.pass_context
def cli(context: click.Context) -> None:
    """The hub of a mesh. Without a command it runs until SIGTERM."""
    os.umask(0o077)
    context.obj = load_config(os.environ)
    if context.invoked_subcommand is None:
        run(context.obj)


def run(loaded: LoadedConfig) -> None:
    """Run the daemon in the foreground."""
    log_to_stderr("mesh-hubd")
    add_request_fields()
    logging.getLogger("hypercorn.error").setLevel(logging.WARNING)
    hub = loaded.config.hub
    address = Address.parse(hub.bind)
    tls = find_tls(hub.tls_cert, hub.tls_key)
    refuse_open_bind(address, tls)
    paths = loaded.paths
    make_private_dir(paths.state_dir)
    with single_instance(paths.lock_file(DAEMON), DAEMON):
        refuse_missing(paths.hub_db, marks_path(paths.hub_db))
        check_soundness(paths.hub_db)
        asyncio.run(_run_until_signal(loaded.config, paths, address, tls))


async def _run_until_signal(
    config: Config, paths: MeshPaths, address: Address, tls: Tls | None
) -> None:
    signals = stop_on_signals(asyncio.get_running_loop())

    def announce(url: str) -> None:
        logger.info("hub listening", extra={"url": url, "pid": os.getpid()})

    hub = Hub(config, paths, address, tls, SystemClock())
    try:
        await hub.run(stop=signals.first, announce=announce)
    finally:
        await end_connections()
    logger.info("hub stopped", extra={"signal": signals.number and signals.number.name})


@dataclass(frozen=True, slots=True)
class Hub:
    """What one hub is built from."""

    config: Config
    paths: MeshPaths
    address: Address
    tls: Tls | None
    clock: Clock

    async def run(self, *, stop: asyncio.Event, announce: Callable[[str], None]) -> None:
        """Serve until `stop` is set; the store outlives the server, whatever ends that.

        `announce` is called with the URL once the socket listens.
        """
        async with _open_services(self.config, self.paths, self.clock) as (database, services):
            calls, metrics = OpenCalls(), Metrics()
            supervisor = Supervisor(clock=self.clock, fatal=(DatabaseReplacedError,))
            backups = BackupState()
            space = Space(self.paths.state_dir)
            watch(metrics, services, database, calls, supervisor.health, backups, space)
            app = create_app(services, Door(self._guard(services), calls, metrics, space))

            def end_streams() -> None:
                calls.close()
                services.feed.close()

            listener = listen(self.address)
            announce(url_of(listener, self.tls))
            loops = asyncio.create_task(
                supervisor.run(self._loops(services, calls, backups, space, database)),
                name="loops",
            )
            loops.add_done_callback(lambda _: stop.set())
            try:
                await serve_until(app, listener, self.tls, stop=stop, end_streams=end_streams)
            finally:
                await _end(loops)

    def _guard(self, services: Services) -> Guard:
        hub = self.config.hub
        names = {host_of(name) for name in hub.hosts}
        if hub.url:
            names.add(host_of(hub.url.partition("://")[2].partition("/")[0]))
        rules = HostRules(frozenset(names), frozenset(hub.origins))
        return Guard(
            services.tokens, rules, Lockout(self.clock), RateLimit(self.clock), services.control
        )

    def _loops(
        self,
        services: Services,
        calls: OpenCalls,
        backups: BackupState,
        space: Space,
        database: Database,
    ) -> Mapping[str, Loop]:
        hub, paths = self.config.hub, self.paths
        opened = Identity.of(paths.hub_db)
        loops: dict[str, Loop] = dict(services.loops)
        loops["tokens"] = lambda: calls.watch(services.tokens.is_live)
        loops["space"] = lambda: watch_space(space, lambda: database.disk_full)
        loops["database-identity"] = lambda: watch_identity(paths.hub_db, opened)
        if hub.backup_every_s > 0:
            loops["backups"] = lambda: keep_backups(
                paths.hub_db,
                paths.backups_dir,
                clock=self.clock,
                every_s=hub.backup_every_s,
                keep=hub.backup_keep,
                state=backups,
            )
        return loops


async def _end(loops: asyncio.Task[None]) -> None:
    """Cancel the loops and raise what ended them before, if anything did."""
    loops.cancel()
    await asyncio.wait([loops])
    if loops.cancelled() or (error := loops.exception()) is None:
        return
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    raise error


@asynccontextmanager
async def _open_services(
    config: Config, paths: MeshPaths, clock: Clock
) -> AsyncIterator[tuple[Database, Services]]:
    async with open_database(paths.hub_db, clock=clock) as database:
        yield database, build_services(database, config, clock=clock, rng=random.Random())


def _with_services(loaded: LoadedConfig, work: Callable[[Services], Awaitable[T]]) -> T:
    """Run `work` on the database itself, whether a hub runs or not."""
    paths, clock = loaded.paths, SystemClock()
    make_private_dir(paths.state_dir)
    refuse_missing(paths.hub_db, marks_path(paths.hub_db))
    check_soundness(paths.hub_db)

    async def worked() -> T:
        async with _open_services(loaded.config, paths, clock) as (_, services):
            return await work(services)

    return asyncio.run(worked())


def _must_exist(paths: MeshPaths) -> None:
    """Looking must not make a database."""
    if not paths.hub_db.exists() and not marks_path(paths.hub_db).exists():
        raise ConfigError(f"there is no hub's database here ({paths.hub_db}). Run: mesh init")


@cli.group()
def token() -> None:
    """Issue, list and revoke tokens, whether the hub runs or not."""


@token.command("new")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", help="The node's name for a node token, else a name to know it by.")
@click.option("--ttl-s", type=click.FloatRange(min=0, min_open=True), help="Ends after that long.")
@click.pass_obj
def token_new(loaded: LoadedConfig, role: str, name: str | None, ttl_s: float | None) -> None:
    """Print a new token, this once."""
    request = NewToken(role=Role(role), name=name, ttl_s=ttl_s)
    issued = _with_services(loaded, lambda s: s.tokens.issue(request, by=CONSOLE))
    click.echo(issued.token)


@token.command("list")
@click.pass_obj
def token_list(loaded: LoadedConfig) -> None:
    """Print the tokens without their secrets, one a line."""
    _must_exist(loaded.paths)
    for item in _with_services(loaded, lambda s: s.tokens.list()).tokens:
        state = "revoked" if item.revoked_at else "good"
        click.echo(f"{item.id}\t{item.role}\t{item.name}\t{item.created_at:%Y-%m-%d}\t{state}")


@token.command("revoke")
@click.argument("token_id")
@click.pass_obj
def token_revoke(loaded: LoadedConfig, token_id: str) -> None:
    """Revoke a token by its id; a running hub refuses it from the next request on."""
    _must_exist(loaded.paths)
    _with_services(loaded, lambda s: s.tokens.revoke(token_id, by=CONSOLE))
    click.echo(f"{token_id} revoked", err=True)


@cli.command("backup")
@click.pass_obj
def backup(loaded: LoadedConfig) -> None:
    """Make a backup now and print its path."""
    paths, keep = loaded.paths, loaded.config.hub.backup_keep
    if not paths.hub_db.exists():
        raise BackupError(f"{paths.hub_db} does not exist: there is nothing to back up")
    clock = SystemClock()
    click.echo(asyncio.run(make_backup(paths.hub_db, paths.backups_dir, clock=clock, keep=keep)))


@cli.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def restore_backup(loaded: LoadedConfig, file: Path) -> None:
    """Put a backup in the database's place; refuses while the hub runs."""
    paths, clock = loaded.paths, SystemClock()
    with single_instance(paths.lock_file(DAEMON), DAEMON):
        aside = restore(file, paths.hub_db, clock=clock)
        when = to_datetime(file.stat().st_mtime)
    click.echo(f"restored the state of {when:%Y-%m-%d %H:%M} UTC", err=True)
    if aside:
        click.echo(f"the former database is {aside}", err=True)


def main() -> None:
    """Entry point: one sentence on stderr for what a person can mend, and a fitting exit code."""
    try:
        cli.main(prog_name="mesh-hubd", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(EXIT_FAILED)
    except MeshError as error:
        click.echo(f"mesh-hubd: {error.message}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
