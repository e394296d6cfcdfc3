"""`python -m benchmarks.cli` prints what a new terminal window waits, and fails on a miss."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.cli import login


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=login.STARTS)
    options = parser.parse_args()
    if not login.has_zsh():
        sys.stdout.write("prompt           not measured: zsh is not on this machine\n")
        return 0
    missed = False
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as name:
        for added in login.measure(Path(name), starts=options.starts):
            sys.stdout.write(f"{added.line()}\n")
            missed |= added.missed
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
