"""`python -m benchmarks [AREA …]`: runs every area, one process each, and says which missed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

AREA_TIMEOUT_S = 900.0


def areas() -> list[str]:
    """Every folder here that can be run."""
    return sorted(main.parent.name for main in Path(__file__).parent.glob("*/__main__.py"))


def main(wanted: list[str]) -> int:
    missed = []
    for area in wanted or areas():
        print(f"== {area}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{area}"], check=False, timeout=AREA_TIMEOUT_S
        )
        if done.returncode:
            missed.append(area)
    if missed:
        print(f"missed a target: {', '.join(missed)}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
