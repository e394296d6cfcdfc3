"""What the terminal itself can show: a desktop notification, a progress bar, its title.

OSC 9 notifies, OSC 9;4 is progress; a terminal that does not know them may print rubbish, so they
are sent only to those that say they do. Inside tmux nothing is sent: it would not pass them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from common.wire.nodes import BreakerState
from common.wire.tasks import TaskState
from tui.state.needs import Need
from tui.state.plain import one_line
from tui.state.store import Ref, Store

_NOTIFYING = {"ghostty", "WezTerm", "iTerm.app", "rio", "contour"}
_PROGRESSING = {"ghostty", "WezTerm"}
LONGEST = 160


@dataclass(frozen=True, slots=True)
class Traits:
    """What this terminal can do."""

    notifies: bool = False
    progresses: bool = False

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Traits:
        program = env.get("TERM_PROGRAM", "")
        if env.get("TMUX") or env.get("STY"):
            return cls()
        progresses = program in _PROGRESSING or bool(env.get("WT_SESSION"))
        return cls(notifies=program in _NOTIFYING, progresses=progresses)


def notification(text: str) -> str:
    """The sequence that makes the desktop show `text`."""
    safe = one_line(text).replace(";", ",")[:LONGEST]
    return f"\x1b]9;{safe}\x07"


def title(text: str) -> str:
    return f"\x1b]2;{one_line(text)[:LONGEST]}\x07"


def progress(store: Store) -> str:
    """Busy slots as a share of all: red while something is broken, paused while on hold."""
    slots = sum(node.slots for node in store.folded.nodes.values())
    busy = sum(len(live) for live in store.live.values())
    if not store.link.live or not busy or not slots:
        return CLEAR
    broken = store.counts[TaskState.NEEDS_ATTENTION] or any(
        node.breaker.state is BreakerState.OPEN for node in store.folded.nodes.values()
    )
    state = 2 if broken else 4 if store.folded.hold.on else 1
    return f"\x1b]9;4;{state};{min(100, 100 * busy // slots)}\x07"


CLEAR = "\x1b]9;4;0\x07"


@dataclass(slots=True)
class Terminal:
    """Sends what changed, once. `write` is the driver's."""

    traits: Traits
    notify: bool
    write: Callable[[str], None]
    _progress: str = CLEAR
    _title: str = ""
    _known: set[Ref] | None = field(default=None)

    def show(self, store: Store, needs: list[Need], *, focused: bool) -> None:
        """Title and progress as they are now; a notification for each new need, when nobody
        looks. What was there at the start is not news."""
        yours = [need for need in needs if need.yours]
        self._show_title(f"mesh · {len(yours)} for you" if yours else "mesh")
        if self.traits.progresses and (now := progress(store)) != self._progress:
            self._progress = now
            self.write(now)
        refs = {need.ref for need in yours}
        if self._known is not None and self.notify and self.traits.notifies and not focused:
            for need in yours:
                if need.ref not in self._known:
                    self.write(notification(f"mesh: {need.about} {need.text}"))
        if store.loaded:
            self._known = refs

    def _show_title(self, text: str) -> None:
        if text != self._title:
            self._title = text
            self.write(title(text))
