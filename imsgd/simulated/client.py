"""Talking to a running simulated Messages."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imsgd.errors import BridgeError
from imsgd.simulated.server import socket_path


class SimulationError(BridgeError):
    """The simulated Messages is not there or did not understand."""

    code = "simulation"


def command(folder: Path, do: str, **options: Any) -> dict[str, Any]:
    """Send one command and return its answer; SimulationError if there is none."""
    with _connected(folder) as link, link.makefile("rwb") as lines:
        lines.write(json.dumps({"do": do, **options}).encode() + b"\n")
        lines.flush()
        answer: dict[str, Any] = json.loads(lines.readline() or b'{"error": "it went away"}')
    if "error" in answer:
        raise SimulationError(f"the simulated Messages refused: {answer['error']}")
    return answer


def follow(folder: Path, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """Every bubble with a row number above `after`, for ever."""
    with _connected(folder) as link, link.makefile("rwb") as lines:
        lines.write(json.dumps({"do": "follow", "after": after}).encode() + b"\n")
        lines.flush()
        for line in lines:
            yield json.loads(line)


def _connected(folder: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(str(socket_path(folder)))
    except OSError as error:
        link.close()
        raise SimulationError(
            f"no simulated Messages runs in {folder}. "
            f"Start it: python -m imsgd.simulated serve --dir {folder}"
        ) from error
    return link
