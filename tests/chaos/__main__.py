"""`make chaos`: every long run of this folder, one process each, bounded in count and time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RUN_TIMEOUT_S = 3600.0


def main() -> int:
    failed = []
    here = Path(__file__).parent
    for run in sorted([*here.glob("*_kill.py"), *here.glob("*_interrupt.py")]):
        print(f"== {run.stem}", flush=True)
        command = [sys.executable, "-m", f"tests.chaos.{run.stem}"]
        if subprocess.run(command, check=False, timeout=RUN_TIMEOUT_S).returncode:
            failed.append(run.stem)
    if failed:
        print(f"broke a promise: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
