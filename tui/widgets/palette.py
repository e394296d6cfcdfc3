"""What each role looks like: Rich styles made once from a theme's variables.

Not component classes: Textual matches every one of them, for every list, against the whole
stylesheet each time a screen is styled, which was a fifth of the time to the first paint.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color

from tui.state.cells import Role

BOLD = frozenset({Role.STRONG, Role.ACCENT, Role.ASK, Role.BAD, Role.BADGE})
VARIABLE = {Role.BADGE: "role-warn"}
"""Every other role has the variable of its own name."""


class Palette:
    """`variables` are the theme's, by name without the `$`: a colour each."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        def colour(name: str) -> RichColor | None:
            parsed = Color.parse(variables[name])
            return parsed.rich_color if parsed.a else None

        self._styles = {
            role: Style(
                color=colour(VARIABLE.get(role, f"role-{role}")),
                bold=role in BOLD or None,
                reverse=role is Role.BADGE or None,
            )
            for role in Role
        }
        self._faded = Style(color=colour("role-faint"))
        self.cursor = Style(bgcolor=colour("line-cursor"), bold=True)
        self.cursor_elsewhere = Style(bgcolor=colour("line-cursor-blurred"))

    def style(self, role: Role, *, faded: bool = False) -> Style:
        """Nothing old looks live: faded, all is of one faint colour but a badge."""
        return self._faded if faded and role is not Role.BADGE else self._styles[role]
