"""A stylesheet that is parsed again only when that would change anything."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class LazyStylesheet(Stylesheet):
    """Textual asks for a new parse of all rules whenever a theme may have changed: three times
    before the first paint, each with the same colours; then only new sources need one."""

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)
            self._require_parse = True

    def reparse(self) -> None:
        if self._require_parse:
            self.parse()
