"""`mesh-imsgd`: reads Messages, talks to the hub, answers through Messages."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from common.client import BridgeApi, Credentials, HubClient, find_credentials
from common.clock import SystemClock
from common.config import BridgeConfig, load_config
from common.errors import EXIT_OK, ConfigError, MeshError
from common.logs import log_to_stderr
from common.paths import MeshPaths
from common.proc import single_instance, stop_on_signals
from common.version import VERSION
from imsgd import bridge
from imsgd.checks import check_all
from imsgd.domain.handles import is_address
from imsgd.ledger.database import Ledger

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon, or with `--check` say what keeps it from working; returns the exit code."""
    arguments = _parser().parse_args(argv)
    env = dict(os.environ)
    log_to_stderr("imsgd", level=env.get("MESH_LOG_LEVEL", "INFO"))
    try:
        loaded = load_config(env)
        config = loaded.config.bridge
        if arguments.check:
            return asyncio.run(check_all(config, env=env, out=sys.stdout, now=SystemClock().now()))
        _refuse_bad_handles(config)
        credentials = find_credentials(loaded, env, role="bridge")
        with single_instance(loaded.paths.lock_file("imsgd"), "imsgd"):
            asyncio.run(_serve(config, credentials, loaded.paths, env))
    except MeshError as error:
        logger.critical("cannot run", extra={"error": error.message})
        return error.exit_code
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mesh-imsgd", description="Carry texts between Messages and the hub."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--check", action="store_true", help="say what keeps the bridge from working, and end"
    )
    return parser


def _refuse_bad_handles(config: BridgeConfig) -> None:
    for key, handles in (("allow", config.allow), ("self_handles", config.self_handles)):
        for handle in handles:
            if not is_address(handle):
                raise ConfigError(
                    f"bridge.{key}: {handle!r} is neither a mail address nor a phone number "
                    "with its country code, such as +15551234567."
                )
    if not config.allow and not config.self_handles:
        raise ConfigError(
            "nobody may command the mesh. Put your number or mail address into bridge.allow, or "
            "into bridge.self_handles if you text yourself."
        )


async def _serve(
    config: BridgeConfig, credentials: Credentials, paths: MeshPaths, env: Mapping[str, str]
) -> None:
    signals = stop_on_signals(asyncio.get_running_loop())
    clock = SystemClock()
    async with HubClient(credentials) as client:
        ledger = Ledger(paths.bridge_db)
        parts = bridge.assemble(config, api=BridgeApi(client), ledger=ledger, clock=clock, env=env)
        logger.info("started", extra={"version": VERSION, "hub": credentials.url})
        await bridge.run(parts, signals.first, clock=clock)
    logger.info("stopped", extra={"signal": signals.number})


if __name__ == "__main__":
    sys.exit(main())
