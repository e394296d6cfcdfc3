"""The guardian: a small process that outlives agentd by moments, to end what it would leave.

agentd holds the other end of its stdin. When that closes, for whatever reason (SIGKILL too),
everything that carries the agent's mark is ended. Run as `python -m agentd.guardian MARK`.
"""

from __future__ import annotations

import os
import signal
import sys

from agentd.sweep import Mark, sweep


def main(arguments: list[str]) -> int:
    mark = Mark(arguments[0])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    sweep(mark)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
