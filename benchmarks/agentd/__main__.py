"""`python -m benchmarks.agentd` prints the node's figures and fails when one misses its target."""

from __future__ import annotations

import argparse
import asyncio
import sys

from benchmarks.agentd import idle, overhead


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--idle-s", type=float, default=30.0)
    options = parser.parse_args()
    resting = idle.measure(seconds=options.idle_s)
    _say(resting.line())
    missed = resting.cpu_percent >= idle.CPU_TARGET or resting.agentd_mb >= idle.MEMORY_TARGET_MB
    claude = overhead.find_claude()
    if claude is None:
        _say("overhead         not measured: Claude Code is not on this machine")
        return int(missed)
    for compared in asyncio.run(overhead.measure(claude, rounds=options.rounds)):
        _say(compared.line())
        missed = missed or compared.added_s > overhead.TARGET_S
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
