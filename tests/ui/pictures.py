"""`python -m tests.ui.pictures` draws the pictures of the README anew, from the demo fleet."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from pathlib import Path

from tests.ui.stage import StillClock, stage
from tests.ui.test_pictures import keys
from tui.demo.hub import DemoHub

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
PICTURES = {
    "dashboard": ((160, 34), ()),
    "task": ((130, 34), ("tab", "tab", *"jjjjj", "enter", "O")),
    "costs": ((130, 40), ("3", "p")),
}
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


async def draw(name: str) -> str:
    """One picture as SVG that loads nothing from anywhere."""
    size, pressed = PICTURES[name]
    clock = StillClock()
    app = stage(DemoHub(clock, random.Random(4), alive=False), clock=clock)
    async with app.run_test(size=size) as pilot:
        await keys(*pressed)(pilot)
        svg = app.export_screenshot(title="mesh-tui")
    svg = re.sub(r"\bterminal-\d+-", "terminal-", _FONTS.sub("", svg))
    svg = svg.replace("Fira Code", "ui-monospace, Menlo, DejaVu Sans Mono")
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(asyncio.run(draw(name)), encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}.svg\n")


if __name__ == "__main__":
    main()
