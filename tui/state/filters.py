"""The filter line: `state:running node:rex @researcher words`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, WAITING_STATES, Task, TaskState
from tui.errors import TuiError
from tui.state import words

Test = Callable[[Task], bool]

_GROUPS = {
    "waiting": WAITING_STATES,
    "live": LIVE_STATES,
    "finished": TERMINAL_STATES,
}
_STATES = {state.value: frozenset({state}) for state in TaskState}
_STATES |= {words.TASK[state].word: frozenset({state}) for state in TaskState}
_STATES |= _GROUPS
HINT = "state:running  node:rex  @researcher  in:project  cost:1  from:imessage  words"


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """A parsed filter line; the empty one lets everything through."""

    text: str = ""
    tests: tuple[Test, ...] = ()

    def passes(self, task: Task) -> bool:
        return all(test(task) for test in self.tests)


def parse_filter(text: str) -> TaskFilter:
    """TuiError names the word that is not understood."""
    return TaskFilter(text.strip(), tuple(_test(word) for word in text.split()))


def _test(word: str) -> Test:
    if word.startswith("@") and len(word) > 1:
        return _equals("specialist", word[1:])
    if word.startswith("#") and word[1:].isdigit():
        number = int(word[1:])
        return lambda task: task.id == number
    field, colon, value = word.partition(":")
    if colon and value and field.lower() in _FIELDS:
        return _FIELDS[field.lower()](value)
    if colon and field.isalpha() and not value:
        return lambda task: True  # still being typed
    return _contains(word)


def _state(value: str) -> Test:
    wanted: set[TaskState] = set()
    for name in value.lower().split(","):
        matching = [states for word, states in _STATES.items() if name and word.startswith(name)]
        exact = _STATES.get(name)
        if exact is None and not matching:
            near = difflib.get_close_matches(name, list(_STATES), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TuiError(f"no state is called {name}{hint}")
        wanted |= exact if exact is not None else frozenset().union(*matching)
    return lambda task: task.state in wanted


def _equals(field: str, value: str) -> Test:
    low = value.lower()
    return lambda task: (getattr(task, field) or "").lower().startswith(low)


def _node(value: str) -> Test:
    low = value.lower()
    return lambda task: (task.node or task.pinned_node or "").lower().startswith(low)


def _cost(value: str) -> Test:
    try:
        least = float(value.lstrip(">$"))
    except ValueError:
        raise TuiError(f"cost: wants a number of dollars, not {value}") from None
    return lambda task: (task.cost_usd or 0.0) >= least


def _contains(word: str) -> Test:
    low = word.lower()
    return lambda task: low in task.title.lower() or low in task.prompt.lower()


_FIELDS: dict[str, Callable[[str], Test]] = {
    "state": _state,
    "is": _state,
    "node": _node,
    "agent": lambda value: _equals("specialist", value),
    "specialist": lambda value: _equals("specialist", value),
    "in": lambda value: _equals("project", value),
    "project": lambda value: _equals("project", value),
    "from": lambda value: _equals("source", value),
    "cost": _cost,
}
