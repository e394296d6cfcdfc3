"""The guardian: a small process that outlives agentd by moments, to end what it would leave.

agentd holds the other end of its stdin. When that closes, for whatever reason (SIGKILL too),
everything of the agent's attempts is ended. Run as `python -m agentd.guardian MARK JOURNAL`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from agentd.journal import Journal
from agentd.sweep import Mark, ask_leader, ask_to_end, sweep

TERM_S = 2.0
"""Claude Code needs up to 1.6 s to end its tools and write its transcript; killed at once it would
forget steps that were done, and repeat them."""


def sweep_all(mark: str, journal: Journal) -> int:
    """End every process of an agent's attempts; returns how many had to be killed."""
    for entry in journal.left_over():
        if entry.pid is not None:
            ask_leader(Mark(mark), entry.pid)  # at once: every moment costs, and nobody listens
    ask_to_end(Mark(mark), TERM_S)
    places = (Mark(mark, entry.fence, entry.place) for entry in journal.left_over())
    return sum(map(sweep, (*places, Mark(mark))))


def main(arguments: list[str]) -> int:
    mark, journal = arguments
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    sweep_all(mark, Journal(Path(journal)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
