"""Behaves like `/usr/bin/osascript` for the scripts the bridge runs; needs nothing but Python.

Usage: standin.py SOCKET [osascript's own arguments]. It reads a script from stdin for `-`, or from
`-e`, hands everything to the simulated Messages and does what it is told: end, fail or hang.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time


def main() -> int:
    script, arguments = parse(sys.argv[2:])
    argv = sys.argv[2:]
    try:
        told = ask(
            sys.argv[1],
            {"do": "osascript", "argv": argv, "script": script, "arguments": arguments},
        )
    except OSError:
        sys.stderr.write(
            "0:57: execution error: Messages got an error: Application isn\u2019t running. (-600)\n"
        )
        return 1
    if "hang" in told:
        hang(sys.argv[1], stubborn=told["hang"] == "hang-stubborn")
    sys.stdout.write(told.get("stdout", ""))
    sys.stderr.write(told.get("stderr", ""))
    return int(told.get("exit", 0))


def parse(arguments: list[str]) -> tuple[str, list[str]]:
    """The script and what its `run` handler gets."""
    lines = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "-e":
            lines.append(rest.pop(0))
        elif word == "-":
            return sys.stdin.read(), rest
        elif word == "--":
            break
        else:
            rest.insert(0, word)
            break
    return "\n".join(lines), rest


def ask(path: str, question: dict[str, object]) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(path)
        link.sendall(json.dumps(question).encode() + b"\n")
        with link.makefile("rb") as answers:
            answer: dict[str, str] = json.loads(answers.readline())
            return answer


def hang(path: str, *, stubborn: bool) -> None:
    """Stay until killed, or until the simulation that this call belongs to is over."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # The grandchild inherits stderr and holds it open.
        loop = 'while [ -e "$0" ]; do sleep 0.2; done'
        subprocess.Popen(["/bin/sh", "-c", loop, path])
    while os.path.exists(path):
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
