"""Containers that only place their children."""

from __future__ import annotations

from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Unpainted(Widget):
    """Has no background: the screen's shows where no child is.

    Textual renders every container in full and then cuts away what its children cover, at each
    repaint of any line: a third of the work on a screen of three columns.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        return []


class Columns(Horizontal, Unpainted):
    """Side by side, or stacked where the screen is narrow."""


class Stack(Vertical, Unpainted):
    """One below the other."""
