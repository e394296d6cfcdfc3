"""The one table of keys: bindings, the key bar, the help screen and the palette come from it.

An action's id is what `[tui.keys]` names. `where` says on which screens, or in which kind of
widget, it holds; `verb` actions concern what is selected and are done by `tui.verbs`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.keys import Keys

from tui.errors import KeyConfigError

EVERYWHERE = "everywhere"
LIST = "list"
DASHBOARD = "dashboard"
TASK = "task"
APPROVALS = "approvals"
NODE = "node"
COSTS = "costs"
CONVERSATION = "conversation"
EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Action:
    """`keys`: comma-separated, as Textual names them. `bar`: its place in the key bar, 0: not
    there. `verb`: handled by `tui.verbs` under this id; else by the widget or screen itself."""

    id: str
    keys: str
    label: str
    help: str
    group: str
    where: tuple[str, ...]
    bar: int = 0
    verb: bool = False

    @property
    def subject(self) -> bool:
        """Whether it concerns what is selected."""
        return self.id in _ON_SUBJECT

    @property
    def binding(self) -> Binding:
        action = f"app.verb('{self.id}')" if self.verb else self.id
        return Binding(
            self.keys, action, self.label, id=self.id, tooltip=self.help, show=bool(self.bar)
        )


_ON_SUBJECT = frozenset(
    {
        "approve",
        "approve_all",
        "deny",
        "revoke",
        "cancel",
        "retry",
        "why",
        "continue",
        "copy",
        "drain",
        "resume",
        "reset",
    }
)  # fmt: skip
_ALL_TASKS = (DASHBOARD, TASK, NODE, COSTS)
_ALL_ANSWERS = (DASHBOARD, TASK, APPROVALS)

GROUPS = ("Answer", "Tasks", "Nodes", "Mesh", "Go to", "In a list", "Task output", "Events")

TABLE: tuple[Action, ...] = (
    Action("approve", "y", "approve", "Say yes to the question shown; a risky one wants its code",
           "Answer", _ALL_ANSWERS, 2, verb=True),
    Action("approve_all", "A", "yes for all",
           "Say yes to it and its like in the rest of the task; never to a risky one",
           "Answer", _ALL_ANSWERS, 0, verb=True),
    Action("revoke", "R", "ask again", "Take back what was allowed for the rest of the task",
           "Answer", (DASHBOARD, TASK), 0, verb=True),
    Action("deny", "n", "deny", "Say no to the question shown, with a note if you like",
           "Answer", _ALL_ANSWERS, 3, verb=True),
    Action("next_need", "a", "next need", "Go to the next thing that needs you",
           "Answer", (EVERYWHERE,), 0, verb=True),
    Action("new_task", "t", "new task", "Write a new task",
           "Tasks", (EVERYWHERE,), 4, verb=True),
    Action("cancel", "x", "cancel", "Cancel the selected or marked tasks, after asking once",
           "Tasks", _ALL_TASKS, 5, verb=True),
    Action("retry", "r", "retry", "Run finished tasks again, as new tasks",
           "Tasks", _ALL_TASKS, 6, verb=True),
    Action("why", "w", "why", "Why it waits: the dispatcher's verdict on every node",
           "Tasks", _ALL_TASKS, 7, verb=True),
    Action("continue", "c", "continue", "Go on in the same session with a new text",
           "Tasks", _ALL_TASKS, 8, verb=True),
    Action("copy", "Y", "copy", "Copy the result, the question or the line",
           "Tasks", (DASHBOARD, TASK, APPROVALS, NODE, CONVERSATION, EVENTS), 0, verb=True),
    Action("drain", "d", "drain", "Let the node finish its work and take no more",
           "Nodes", (DASHBOARD, NODE), 9, verb=True),
    Action("resume", "u", "resume", "Give the node work again, or its paused account",
           "Nodes", (DASHBOARD, NODE), 10, verb=True),
    Action("reset", "b", "reset breaker", "Close the node's circuit breaker now",
           "Nodes", (DASHBOARD, NODE), 11, verb=True),
    Action("hold", "H", "hold/go", "Start nothing new anywhere, or go on",
           "Mesh", (EVERYWHERE,), 12, verb=True),
    Action("stop_all", "X", "stop all", "End every task of the mesh, after typing stop all",
           "Mesh", (EVERYWHERE,), 0, verb=True),
    Action("palette", "colon,ctrl+p", "commands", "Find any command, task or node by typing",
           "Mesh", (EVERYWHERE,), 13, verb=True),
    Action("theme", "T", "light/dark", "Change between the dark and the light theme",
           "Mesh", (EVERYWHERE,), 0, verb=True),
    Action("help", "question_mark,f1", "help", "All keys of this screen",
           "Mesh", (EVERYWHERE,), 1, verb=True),
    Action("quit", "q,ctrl+q", "quit", "Leave; the mesh works on",
           "Mesh", (EVERYWHERE,), 14, verb=True),
    Action("go_dashboard", "1", "dashboard", "The dashboard", "Go to", (EVERYWHERE,), 0, verb=True),
    Action("go_approvals", "2", "approvals", "Questions, pending and answered",
           "Go to", (EVERYWHERE,), 0, verb=True),
    Action("go_costs", "3", "costs", "What it costs", "Go to", (EVERYWHERE,), 0, verb=True),
    Action("go_conversation", "4", "texts", "The iMessage thread, and typing into it",
           "Go to", (EVERYWHERE,), 0, verb=True),
    Action("go_events", "5", "events", "Everything that happened", "Go to", (EVERYWHERE,), 0,
           verb=True),
    Action("back", "escape", "back", "Back, or leave the field", "Go to", (EVERYWHERE,), 0,
           verb=True),
    Action("cursor_down", "j,down", "down", "One line down", "In a list", (LIST,)),
    Action("cursor_up", "k,up", "up", "One line up", "In a list", (LIST,)),
    Action("page_down", "ctrl+d,pagedown", "page down", "A page down", "In a list", (LIST,)),
    Action("page_up", "ctrl+u,pageup", "page up", "A page up", "In a list", (LIST,)),
    Action("first", "g,home", "first", "To the first line", "In a list", (LIST,)),
    Action("last", "G,end", "last", "To the last line", "In a list", (LIST,)),
    Action("open", "enter", "open", "Open what is selected", "In a list", (LIST,), 1),
    Action("mark", "space", "mark", "Mark or unmark the task for a batch",
           "In a list", (DASHBOARD, NODE)),
    Action("mark_all", "asterisk", "mark all", "Mark all tasks the filter shows, or none",
           "In a list", (DASHBOARD, NODE)),
    Action("filter", "slash", "filter", "Filter: state:running node:rex @researcher words",
           "In a list", (DASHBOARD, EVENTS), 8),
    Action("sort", "s", "sort", "Sort otherwise: usual, newest, oldest, cost, changed, node",
           "In a list", (DASHBOARD,)),
    Action("fold", "o", "fold", "Unfold or fold the tool call, or all with O",
           "Task output", (TASK,), 7),
    Action("fold_all", "O", "fold all", "Unfold or fold all tool calls", "Task output", (TASK,)),
    Action("follow", "f", "follow", "Follow the newest line, or stay",
           "Task output", (TASK, EVENTS), 8),
    Action("previous_chat", "left_square_bracket", "previous chat", "The chat before",
           "Go to", (CONVERSATION,)),
    Action("next_chat", "right_square_bracket", "next chat", "The chat after",
           "Go to", (CONVERSATION,)),
    Action("period", "p", "period", "Today, this week, this month", "Go to", (COSTS,), 2),
)  # fmt: skip

BY_ID = {action.id: action for action in TABLE}


def actions_for(*places: str) -> list[Action]:
    """The actions that hold in any of `places`."""
    return [action for action in TABLE if any(place in action.where for place in places)]


def bindings_for(*places: str) -> list[Binding]:
    """What a screen or widget class puts into its BINDINGS."""
    return [action.binding for action in actions_for(*places)]


def keymap(remapped: Mapping[str, str]) -> dict[str, str]:
    """`[tui.keys]` as Textual wants it; KeyConfigError names the action or key that cannot be."""
    for action_id, keys in remapped.items():
        if action_id not in BY_ID:
            near = difflib.get_close_matches(action_id, BY_ID, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(BY_ID)}"
            raise KeyConfigError(f"[tui.keys]: no action is called {action_id}; {hint}")
        if not all(key.strip() for key in keys.split(",")):
            raise KeyConfigError(f"[tui.keys]: {action_id} needs a key, such as 'y' or 'ctrl+y'")
    _refuse_clashes(remapped)
    return dict(remapped)


def _refuse_clashes(remapped: Mapping[str, str]) -> None:
    taken: dict[tuple[str, str], Action] = {}
    for action in TABLE:
        for key in split_keys(remapped.get(action.id, action.keys)):
            for place in _reach(action):
                other = taken.setdefault((place, key), action)
                if other is not action and {action.id, other.id} & remapped.keys():
                    raise KeyConfigError(
                        f"[tui.keys]: {shown_key(key)} is both {other.id} and {action.id}"
                    )


def _reach(action: Action) -> Iterable[str]:
    """Where its key is taken: everywhere means on every screen, in a list too."""
    places = (DASHBOARD, TASK, APPROVALS, NODE, COSTS, CONVERSATION, EVENTS)
    return places if {EVERYWHERE, LIST} & set(action.where) else action.where


_NAMED = {
    ":": "colon", "/": "slash", "?": "question_mark", "*": "asterisk", "[": "left_square_bracket",
    "]": "right_square_bracket", "!": "exclamation_mark", "+": "plus", "-": "minus",
    " ": "space", ".": "full_stop", "=": "equals_sign", "#": "number_sign",
}  # fmt: skip
_SHOWN = {name: char for char, name in _NAMED.items()} | {
    "space": "space",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "down": "↓",
    "up": "↑",
    Keys.Enter.value: "⏎",
}


def split_keys(keys: str) -> list[str]:
    """Each key by its long name, as Textual knows it."""
    return [_NAMED.get(key.strip() or key, key.strip()) for key in keys.split(",")]


def shown_key(key: str) -> str:
    """`ctrl+d` as `^d`, `question_mark` as `?`."""
    if key.startswith("ctrl+"):
        return f"^{shown_key(key[5:])}"
    return _SHOWN.get(key, key)


def shown_keys(action: Action, remapped: Mapping[str, str], *, all_: bool = False) -> str:
    """How the key bar (the first) and the help screen (all) write an action's keys."""
    keys = [shown_key(key) for key in split_keys(remapped.get(action.id, action.keys))]
    return " ".join(keys) if all_ else keys[0]
