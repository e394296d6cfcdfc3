"""A stylesheet that is parsed again only when that would change anything."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class LazyStylesheet(Stylesheet):
    """Textual asks for a new parse of all rules whenever a theme may have changed: three times
    before the first paint, each with the same colours."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parsed_with: dict[str, str] | None = None

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        if self._require_parse or self._parsed_with != self._variables:
            super().reparse()
            self._parsed_with = self._variables

    def parse(self) -> None:
        super().parse()
        self._parsed_with = self._variables
