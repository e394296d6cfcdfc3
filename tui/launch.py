"""From a command line to an exit code: reads the configuration, finds the hub, opens the screen."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from common.clock import SystemClock
from common.config.load import LoadedConfig, load_config
from common.errors import EXIT_FAILED, MeshError
from common.logs import log_to_file
from common.version import VERSION
from tui.hub import Hub, LiveHub
from tui.leaving import Leaving
from tui.state.plain import one_line

if TYPE_CHECKING:
    from common.client import Credentials


def launch(argv: Sequence[str] | None) -> int:
    """Run until the person leaves; complaints go to stderr, one sentence each."""
    options = _parse(argv)
    try:
        return _run(options, os.environ)
    except MeshError as error:
        _complain(error.message)
        return error.exit_code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mesh-tui", description="The control centre of your mesh of AI agents."
    )
    parser.add_argument("--demo", action="store_true", help="open on a simulated fleet, no hub")
    parser.add_argument("--theme", help="mesh-dark, mesh-light, ansi-dark, ansi-light")
    parser.add_argument("--version", action="version", version=f"mesh-tui {VERSION}")
    return parser.parse_args(argv)


def _run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    loaded = load_config(env)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        _complain(
            "needs a terminal (it draws on stderr). For scripts: mesh status --json, mesh --help"
        )
        return EXIT_FAILED
    log_file = loaded.paths.logs_dir / "tui.log"
    log_to_file("mesh-tui", log_file)
    leaving = Leaving(sys.stdin.fileno(), sys.stderr.fileno())
    leaving.watch()
    hub = _demo_hub() if options.demo else _live_hub(loaded, env)

    from tui.app import MeshApp
    from tui.keys import keymap
    from tui.state.typing import Pace
    from tui.terminal import CLEAR, Traits

    traits = Traits.of(env)
    app = MeshApp(
        hub,
        clock=SystemClock(),
        new_key=lambda: os.urandom(16).hex(),
        theme=options.theme or loaded.config.tui.theme,
        keymap=keymap(loaded.config.tui.keys),
        traits=traits,
        notify=loaded.config.tui.notify,
        leaving=leaving,
        pace=Pace(),
        on_shown=collect_again,
    )
    app.run()
    leaving.begin(app.return_code or 0)
    if traits.progresses:
        sys.stderr.write(CLEAR)
    if app.crash is not None:
        what = one_line(f"{type(app.crash).__name__}: {app.crash}")[:300]
        _complain(f"failed: {what}. Its log: {log_file}")
        return EXIT_FAILED
    return app.return_code or 0


def collect_again() -> None:
    """What stands by now stays; the collector need not look at it again and again."""
    gc.freeze()
    gc.enable()


def _demo_hub() -> Hub:
    import random

    from tui.demo.hub import DemoHub

    return DemoHub(SystemClock(), random.Random())


def _live_hub(loaded: LoadedConfig, env: Mapping[str, str]) -> Hub:
    def find() -> Credentials:
        from common.client import find_credentials
        from common.errors import ConfigError

        try:
            return find_credentials(loaded, env, role="operator")
        except ConfigError as missing:
            try:
                return find_credentials(loaded, env, role="viewer")
            except ConfigError:
                raise missing from None

    return LiveHub(find, loaded.config.hub_url)


def _complain(sentence: str) -> None:
    print(f"mesh-tui: {sentence}", file=sys.stderr)  # noqa: T201
