"""`python -m cli.parent`: the composition root of the parent; `mesh up` starts it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from cli.parent.house import House
from cli.parent.plan import daemon_environment, plan
from common.clock import SystemClock
from common.config import LoadedConfig, load_config
from common.errors import EXIT_ALREADY_RUNNING, EXIT_OK, AlreadyRunningError, MeshError
from common.logs import log_to_stderr
from common.proc import single_instance, stop_on_signals

logger = logging.getLogger(__name__)

LOOK = signal.SIGUSR1
"""A wish changed."""

LEAVE = signal.SIGUSR2
"""Another parent takes over."""


def main() -> int:
    """Run until told to stop or to leave."""
    os.umask(0o077)
    log_to_stderr("mesh-parent")
    try:
        loaded = load_config(os.environ)
        with single_instance(loaded.paths.lock_file("parent"), "parent"):
            asyncio.run(_run(loaded))
    except AlreadyRunningError:
        return EXIT_ALREADY_RUNNING
    except MeshError as error:
        logger.error("cannot go on", extra={"error": error.message})
        return error.exit_code
    return EXIT_OK


async def _run(loaded: LoadedConfig) -> None:
    loop = asyncio.get_running_loop()
    signals = stop_on_signals(loop)
    house = House(plan(loaded), loaded.paths, daemon_environment(os.environ), SystemClock())
    loop.add_signal_handler(signal.SIGCHLD, house.glance)
    loop.add_signal_handler(LOOK, house.look)
    loop.add_signal_handler(LEAVE, house.leave)
    logger.info("parent started", extra={"pid": os.getpid()})
    await house.run(signals.first, signals.second)
    logger.info("parent stopped", extra={"signal": signals.number and signals.number.name})


if __name__ == "__main__":
    sys.exit(main())
