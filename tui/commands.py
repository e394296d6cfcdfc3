"""The command palette: every verb, every task and node, and any line of the text grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher

from tui.keys import EVERYWHERE, actions_for, shown_keys
from tui.state import words
from tui.state.plain import one_line
from tui.state.store import Ref

if TYPE_CHECKING:
    from tui.control import Control

LISTED = 20


class MeshCommands(Provider):
    """What is typed is matched; last comes the offer to send it as if from the phone."""

    @property
    def control(self) -> Control:
        return cast("Control", self.app)

    async def discover(self) -> Hits:
        for text, help_, run in self._verbs():
            yield DiscoveryHit(Content(text), run, text=text, help=help_)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, help_, run in (*self._verbs(), *self._things(query)):
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, _highlighted(text, matcher), run, text=text, help=help_)
        line = query.strip()
        if line:
            yield Hit(
                0.001,
                Content(f"send “{line}” as a text"),
                partial(self._say, line),
                text=line,
                help="Does what the same text from the phone would do; a new task if it is no verb",
            )

    def _verbs(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        control = self.control
        screen = self.screen
        place = getattr(screen, "place", "dashboard")
        for action in actions_for(place, EVERYWHERE):
            if action.verb and action.id not in {"palette", "back"}:
                keys = shown_keys(action, control.remapped)
                run = partial(control.verbs.run, action.id)
                yield f"{action.label}  ({keys})", action.help, run

    def _things(self, query: str) -> Iterator[tuple[str, str, Callable[[], None]]]:
        store = self.control.store
        for node in store.nodes():
            yield (
                f"node {node.name}",
                "Open the node",
                partial(self.control.open, Ref("node", node.name)),
            )
        low = query.lower().lstrip("#")
        listed = 0
        for task in sorted(store.folded.tasks.values(), key=lambda task: -task.id):
            if listed < LISTED and (low in str(task.id) or low in task.title.lower()):
                listed += 1
                yield (
                    f"#{task.id} {one_line(task.title)}",
                    f"Open the task, {words.TASK[task.state].word}",
                    partial(self.control.open, Ref("task", str(task.id))),
                )

    def _say(self, line: str) -> None:
        order = self.control.verbs.say(line, None)
        if order is not None:
            self.control.place_order(order)


def _highlighted(text: str, matcher: Matcher) -> Content:
    """As `Matcher.highlight`, which would take a task's title for markup."""
    content = Content(text)
    for offset in matcher.fuzzy_search.match(matcher.query, text)[1]:
        content = content.stylize(matcher.match_style, offset, offset + 1)
    return content
