"""`mesh-tui`."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; ends the process with the exit code that fits."""
    # Nearly all that a start makes is kept; looking through it for garbage, over and over, took a
    # seventh of the time to the first paint. `launch` lets the collector work from then on.
    gc.disable()
    from tui.launch import launch

    code = launch(argv)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Not by `sys.exit`: it waits for threads, and a terminal that takes nothing holds those.
    os._exit(code)


if __name__ == "__main__":
    main()
