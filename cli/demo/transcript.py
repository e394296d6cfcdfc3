"""A thread as text: the phone's bubbles to the right, the mesh's to the left, with times."""

from __future__ import annotations

import textwrap
from datetime import datetime

from cli.demo.phone import Bubble
from cli.output import plain

WIDTH = 60
INDENT = 22


def render(bubble: Bubble) -> str:
    """The bubble's lines; its first one carries the time."""
    when = datetime.fromtimestamp(bubble.at).astimezone()
    clock = f"{when:%H:%M:%S}.{when.microsecond // 100_000}"
    side, mark = (" " * INDENT, "you  ▸ ") if bubble.ours else ("", "mesh ◂ ")
    lines = [
        part
        for line in plain(bubble.text).splitlines() or [""]
        for part in textwrap.wrap(line, WIDTH) or [""]
    ]
    head = f"{clock}  {side}{mark}{lines[0]}"
    rest = [" " * (len(clock) + 2 + len(side) + len(mark)) + line for line in lines[1:]]
    return "\n".join([head, *rest])
