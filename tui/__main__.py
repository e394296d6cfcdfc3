"""`mesh-tui`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; ends the process with the exit code that fits."""
    # Nearly all that a start makes is kept; looking through it for garbage, over and over, took a
    # seventh of the time to the first paint. `launch` lets the collector work from then on.
    gc.disable()
    from tui.launch import launch

    sys.exit(launch(argv))


if __name__ == "__main__":
    main()
