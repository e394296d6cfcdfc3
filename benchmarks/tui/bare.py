"""The baseline: `python -m benchmarks.tui.bare` is the smallest Textual app there is."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static

SHOWN = "Needs you"


class Bare(App[None]):
    def compose(self) -> ComposeResult:
        yield Static(SHOWN)


if __name__ == "__main__":
    Bare().run()
