"""What to type when there is nothing to show yet: no token, no hub, or a hub that says no."""

from __future__ import annotations

from collections.abc import Iterator

from tui.state.cells import Cell, Piece, Role, cell
from tui.state.link import Link, LinkState
from tui.state.measures import plural


def welcome(link: Link, where: str, missing_token: bool, now: float) -> list[Cell]:
    """The whole screen, for the link as it is."""
    if missing_token:
        return [*_head("There is no mesh here yet", link), *_first_time(), *_elsewhere(), *_demo()]
    if link.state is LinkState.REFUSED:
        return [*_head(f"The hub at {where} does not let this in", link), *_refused(), *_demo()]
    return [
        *_head(f"Nothing answers at {where}", link),
        *_start(),
        *_first_time(),
        *_demo(),
        (),
        cell(_next_try(link, now), Role.MUTED),
    ]


def _head(title: str, link: Link) -> Iterator[Cell]:
    yield cell(title, Role.STRONG)
    yield cell(link.reason, Role.WARN)
    yield ()


def _first_time() -> Iterator[Cell]:
    yield cell("For the first time, on the machine that is to run the hub:", Role.ACCENT)
    yield _type("mesh init --yes", "writes a configuration and the tokens")
    yield _type("mesh up", "starts the hub, an agent and the bridge")
    yield ()


def _start() -> Iterator[Cell]:
    yield cell("Is it running?", Role.ACCENT)
    yield _type("mesh status", "says what runs on this machine")
    yield _type("mesh up", "starts what does not")
    yield _type("mesh doctor", "looks for what is wrong and how to mend it")
    yield ()


def _elsewhere() -> Iterator[Cell]:
    yield cell("The hub is on another machine:", Role.ACCENT)
    yield _type("mesh token new --role operator", "there, prints a token once")
    yield _type("export MESH_HUB_URL=… MESH_TOKEN=…", "here")
    yield ()


def _refused() -> Iterator[Cell]:
    yield cell("On the machine that runs the hub:", Role.ACCENT)
    yield _type("mesh token new --role operator", "prints a new token once")
    yield cell("Put it into the token file or MESH_TOKEN and start mesh-tui again.", Role.MUTED)
    yield ()


def _demo() -> Iterator[Cell]:
    yield cell("Just to look around, with a simulated fleet:", Role.ACCENT)
    yield _type("mesh-tui --demo", "")


def _type(command: str, meaning: str) -> Cell:
    return (Piece(f"   {command:<34}", Role.STRONG), Piece(f"  {meaning}", Role.MUTED))


def _next_try(link: Link, now: float) -> str:
    left = max(0, round((link.retry_at or now) - now))
    when = f"in {plural(left, 'second')}" if left else "now"
    return f"The next try is {when}; this goes away by itself when the hub answers. q leaves."
