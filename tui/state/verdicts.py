"""The dispatcher's answer to `why`, as lines."""

from __future__ import annotations

from common.wire.tasks import Why
from tui.state import words
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.measures import age, until
from tui.state.plain import one_line


def why_lines(why: Why, now: float) -> list[Cell]:
    """The sentence, the place in the queue, and one verdict a node."""
    lines: list[Cell] = [(*words.TASK[why.state].cell, Piece(f"  {one_line(why.reason)}"))]
    if why.place is not None:
        lines.append(cell(f"place {why.place} in the queue", Role.MUTED))
    lines.append(())
    width = max((len(verdict.node) for verdict in why.nodes), default=0)
    for verdict in why.nodes:
        glyph, role = ("✓", Role.OK) if verdict.eligible else ("✗", Role.WARN)
        best = "  ← would run here" if verdict.node == why.would_run_on else ""
        left = until(verdict.until, now)
        wait = f", for {age(left)} more" if left else ""
        lines.append(
            (
                Piece(f"{glyph} ", role),
                Piece(f"{verdict.node:<{width}}  ", Role.STRONG),
                Piece(one_line(f"{verdict.reason}{wait}")),
                Piece(best, Role.OK),
            )
        )
    if not why.nodes:
        lines.append(cell("no node is registered", Role.WARN))
    return lines
