"""Names a request uses of the mesh's own things: found in any spelling, or answered with the
nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 5
LIKELY = 0.8
"""How alike a first word must be to a name before it is taken for a slip rather than a word."""


def resolve(name: str, known: Iterable[str]) -> str | None:
    """The name in its owner's spelling."""
    return next((each for each in known if each.lower() == name.lower()), None)


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    spelled = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=cutoff)
    return spelled[found[0]] if found else None


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What is wrong, then what to do: the nearest name, else the names there are."""
    listed = sorted(known)
    near = nearest(name, listed)
    if near is not None:
        return f"no {kind} is called {name}: did you mean {near}?"
    if not listed:
        return f"no {kind} is called {name}: none is known yet"
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return f"no {kind} is called {name}: there are {', '.join(listed[:SHOWN])}{more}"
