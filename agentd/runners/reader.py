"""Taking a program's lines through a fold: no line, and no fault in reading one, costs the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from agentd.runners.foreign import Oddities
from agentd.runners.protocol import Event, Noticed

logger = logging.getLogger(__name__)


class Reader:
    """Folds lines for one run, and tells once of each kind of thing that could not be read."""

    def __init__(
        self, program: str, take: Callable[[bytes], Iterable[Event]], odd: Oddities
    ) -> None:
        self._program = program
        self._take = take
        self._odd = odd

    def events(self, line: bytes) -> Iterator[Event]:
        """What a line means; the rest of one whose reading fails is left out."""
        try:
            yield from self._take(line)
        except Exception:
            # Supervises the reading: a shape nobody thought of must not end work that is paid for.
            logger.exception("a line could not be read", extra={"program": self._program})
            self._odd.note("a line that agentd failed to read")
        yield from self.told()

    def told(self) -> Iterator[Event]:
        """The oddities nobody was told of yet, for the log and for whoever watches."""
        for kind in self._odd.untold():
            logger.warning("odd output", extra={"program": self._program, "kind": kind})
            yield Noticed(f"{self._program} wrote something unexpected, left out: {kind}")
