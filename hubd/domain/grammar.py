"""The text grammar: one table that parses a message and prints `help`.

Only exact forms are commands; everything else is a new task. A full stop or an exclamation mark
behind a form changes nothing (iOS sets the one by itself, people the other). Where more lines
follow, only `stop`, an answer with its code, and `#42` are still taken as what they say: a text of
several lines that begins with `status` is work.
What a form needs to know of the mesh (its nodes, specialists, projects) is passed in, so that
`on monday …` stays a task unless a node is called monday.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from common.panic import CLOSING, first_line, is_panic
from common.wire.approvals import Decision, Reach
from common.wire.tasks import Priority
from hubd.domain import names, projects, reactions
from hubd.domain.codes import parse_code
from hubd.domain.commands import (
    Answer,
    Command,
    Continue,
    Help,
    Hold,
    Look,
    NodeOrder,
    NodeVerb,
    Retry,
    Revoke,
    Stop,
    Topic,
    Unclear,
    Vocabulary,
    Work,
)

Build = Callable[[re.Match[str], Vocabulary], Command | None]
Prefix = Callable[[re.Match[str], Vocabulary, Work], "Work | Unclear | None"]


@dataclass(frozen=True, slots=True)
class Row:
    """One form. `build` returning None means that the form does not apply after all; a `prefix`
    form narrows the work that the rest of the text describes; what it leaves of that is its
    `prompt`, if it took more than the pattern."""

    group: str
    usage: str
    meaning: str
    pattern: re.Pattern[str] | None = None
    build: Build | None = None
    prefix: Prefix | None = None
    verbs: tuple[str, ...] = field(default=())
    follows: bool = False
    """A prefix form that also narrows a follow-up: whose session goes on is settled there."""


_UNIT_S = {"m": 60.0, "h": 3600.0, "d": 86_400.0}


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern + r"\s*$", re.IGNORECASE)


def _start(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern + r"(?P<rest>.*\S)\s*$", re.IGNORECASE | re.DOTALL)


def _task(topic: Topic) -> Build:
    def build(match: re.Match[str], _: Vocabulary) -> Command:
        number = match.group("id")
        return Look(topic, task_id=int(number) if number else None)

    return build


def _look(topic: Topic) -> Build:
    return lambda _match, _words: Look(topic)


def _answer(match: re.Match[str], _: Vocabulary) -> Command | None:
    decision = _decision(match.group("word"))
    if decision is None:
        return None
    rest = (match.group("rest") or "").split()
    if not rest:
        return Answer(decision)
    code = parse_code(rest[0].rstrip(","))
    words = rest if code is None else rest[1:]
    if len(words) == 1 and words[0].strip(f",{CLOSING}").lower() in _FOR_ALL:
        return _for_all(decision, code)
    if code is None:
        return None
    if any(parse_code(w) or _decision(w) for w in rest[1:]):
        return Unclear("One answer at a time, please: y K7 or n K7.")
    return Answer(decision, code, " ".join(rest[1:]).rstrip(f"{CLOSING} ") or None)


def _for_all(decision: Decision, code: str | None) -> Command:
    """A yes for the rest of the task; a no is for its one question, and a bare one is unclear."""
    if decision is Decision.APPROVE:
        return Answer(decision, code, scope=Reach.TASK)
    if code is None:
        return Unclear("A no answers one question: n K7. revoke 42 takes back a yes for all.")
    return Answer(decision, code)


def _code_for_all(match: re.Match[str], _: Vocabulary) -> Command | None:
    code = parse_code(match.group("code"))
    return None if code is None else _for_all(Decision.APPROVE, code)


def _cost(match: re.Match[str], _: Vocabulary) -> Command:
    arg = (match.group("arg") or "today").lower().lstrip("#")
    return Look(Topic.COST, task_id=int(arg)) if arg.isdigit() else Look(Topic.COST, period=arg)


def _stop(match: re.Match[str], _: Vocabulary) -> Command:
    arg = (match.group("arg") or "").lower().lstrip("#")
    return Stop(task_id=int(arg) if arg else None)


def _node_order(verb: NodeVerb) -> Build:
    def build(match: re.Match[str], words: Vocabulary) -> Command | None:
        node = match.group("node").lower()
        amount, note = match.groupdict().get("amount"), match.groupdict().get("note")
        if node not in words.nodes:
            if amount or note:
                return None
            what, lists = f"No node is called {node}", "nodes lists them."
            return Unclear(_no_such(what, node, words.nodes, lists))
        timeout_s = float(amount[:-1]) * _UNIT_S[amount[-1].lower()] if amount else None
        return NodeOrder(verb, words.nodes[node], timeout_s, note)

    return build


def _retry(match: re.Match[str], _: Vocabulary) -> Command:
    number = match.group("id")
    return Retry(int(number) if number else None, elsewhere=match.group("elsewhere") is not None)


def _revoke(match: re.Match[str], _: Vocabulary) -> Command:
    number = match.group("id")
    return Revoke(int(number) if number else None)


def _help(match: re.Match[str], _: Vocabulary) -> Command | None:
    verb = match.group("verb")
    if verb is None:
        return Help()
    return Help(verb.lower()) if find_row(verb.lower()) else None


def _continue(match: re.Match[str], _: Vocabulary) -> Command:
    return follow_up(int(match.group("id")), match.group("rest"))


def _at(match: re.Match[str], words: Vocabulary, work: Work) -> Work | Unclear:
    name = match.group("name").lower()
    if name not in words.specialists:
        what, lists = f"No node has a specialist @{name}", "agents lists them."
        return Unclear(_no_such(what, name, words.specialists, lists))
    return replace(work, specialist=words.specialists[name])


def _on(match: re.Match[str], words: Vocabulary, work: Work) -> Work | Unclear | None:
    name = match.group("name").lower()
    if name in words.nodes:
        return replace(work, node=words.nodes[name])
    if names.nearest(name, words.nodes, cutoff=names.LIKELY) is None:
        return None  # on monday …
    return Unclear(_no_such(f"No node is called {name}", name, words.nodes, "nodes lists them."))


def _no_such(what: str, name: str, known: Mapping[str, str], lists: str) -> str:
    near = names.nearest(name, known.values())
    return f"{what}. " + (f"Did you mean {near}?" if near else lists)


def _in(match: re.Match[str], words: Vocabulary, work: Work) -> Work | Unclear | None:
    """It may take several words of the rest for the project's name."""
    known = words.projects.values()
    match projects.find(match.group("rest"), known, complete=words.all_projects_known):
        case None:
            return None
        case projects.Unknown(name):
            return Unclear(projects.hint(name, known))
        case projects.Named(name, branch, rest):
            if not rest:
                return Unclear(f"What is to be done in {name}? in {name} <text>.")
            return replace(work, project=name, branch=branch, prompt=rest)


def _decision(word: str) -> Decision | None:
    return _SPOKEN.get(word.lower()) or reactions.of_sign(word)


_SPOKEN = {"y": Decision.APPROVE, "yes": Decision.APPROVE, "n": Decision.DENY, "no": Decision.DENY}
_FOR_ALL = {"all", "always"}
_ANSWER = re.compile(
    r"^(?P<word>y|yes|n|no|[^\w\s#@!]+)(?:\s+(?P<rest>.*\S))?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_FOLLOW_UP = re.compile(r"^#(?P<id>\d{1,9})[\s:,]+(?P<rest>.*\S)\s*$", re.DOTALL)
_STOP = _line(r"^stop(?:\s+(?P<arg>#?\d{1,9}))?")
_LONE_CLOSING = re.compile(rf"\s+[{CLOSING}]+$")
_ID = r"#?(?P<id>\d{1,9})"
_MAYBE_ID = r"(?:\s+#?(?P<id>\d{1,9}))?"

WORK, ANSWER, LOOK, CONTROL = "Give work", "Answer", "Look", "Control"

TABLE: tuple[Row, ...] = (
    Row(WORK, "<text>", "a new task"),
    Row(
        WORK,
        "@specialist <text>",
        "for one of the bench, agents lists them",
        _start(r"^@(?P<name>[a-z0-9][a-z0-9._-]*)[\s:,]+"),
        prefix=_at,
        verbs=("@", "specialist"),
    ),
    Row(
        WORK,
        "on <node> <text>",
        "on that machine only",
        _start(r"^on\s+(?P<name>[a-z0-9][a-z0-9._-]*)[\s:,]+"),
        prefix=_on,
        verbs=("on",),
    ),
    Row(
        WORK,
        "in <project>[@branch] <text>",
        "in a worktree of that project",
        _start(r"^in\s+"),
        prefix=_in,
        verbs=("in",),
    ),
    Row(
        WORK,
        "ask <text>",
        "asks you before it runs",
        _start(r"^ask\s+"),
        prefix=lambda _match, _words, work: replace(work, approval=True),
        verbs=("ask",),
        follows=True,
    ),
    Row(
        WORK,
        "! <text>",
        "urgent, goes first",
        _start(r"^!\s*(?!!)"),
        prefix=lambda _match, _words, work: replace(work, priority=Priority.HIGH),
        verbs=("!", "urgent"),
        follows=True,
    ),
    Row(
        WORK,
        "low <text>",
        "when nothing else waits",
        _start(r"^low\s+"),
        prefix=lambda _match, _words, work: replace(work, priority=Priority.LOW),
        verbs=("low",),
    ),
    Row(
        WORK,
        "#42 <text>",
        "goes on in that task's session, as an inline reply does; "
        "on rex #42 <text> goes on there, anew",
        _FOLLOW_UP,
        build=_continue,
        verbs=("continue",),
    ),
    Row(
        ANSWER,
        "y | n",
        "yes or no, when exactly one question waits",
        _ANSWER,
        build=_answer,
        verbs=("y", "n", "yes", "no"),
    ),
    Row(ANSWER, "y K7 | n K7 why", "answers that question; 👍 and 👎 on it do the same"),
    Row(
        ANSWER,
        "y K7 all",
        "yes, also to the same kind for the rest of that task",
        _line(r"^(?P<code>[a-z]\d(?:[a-z]\d)?),?\s+(?:all|always)"),
        _code_for_all,
        verbs=("all", "always"),
    ),
    Row(
        ANSWER,
        "revoke 42",
        "takes back what was allowed for the rest of it",
        _line(r"^revoke" + _MAYBE_ID),
        _revoke,
    ),
    Row(ANSWER, "pending", "the questions that wait", _line("^pending"), _look(Topic.PENDING)),
    Row(LOOK, "status", "everything in one bubble", _line("^status"), _look(Topic.STATUS)),
    Row(LOOK, "ls", "tasks that are not finished", _line("^ls"), _look(Topic.LIST)),
    Row(
        LOOK,
        "#42",
        "one task",
        _line(r"^#(?P<id>\d{1,9})"),
        _task(Topic.TASK),
        verbs=("#", "task"),
    ),
    Row(LOOK, "why 42", "why it waits", _line(r"^why" + _MAYBE_ID), _task(Topic.WHY)),
    Row(LOOK, "more 42", "the rest of an answer", _line(r"^more" + _MAYBE_ID), _task(Topic.MORE)),
    Row(LOOK, "nodes", "the machines", _line("^nodes"), _look(Topic.NODES)),
    Row(LOOK, "agents", "the bench", _line("^agents"), _look(Topic.AGENTS)),
    Row(
        LOOK,
        "cost [today|week|42]",
        "what it cost",
        _line(r"^cost(?:\s+(?P<arg>today|week|#?\d{1,9}))?"),
        _cost,
    ),
    Row(
        CONTROL,
        "stop 42 | stop all",
        "ends it, or everything",
        _STOP,
        _stop,
    ),
    Row(CONTROL, "hold", "start nothing new", _line("^hold"), lambda _m, _w: Hold(on=True)),
    Row(CONTROL, "go", "start again", _line("^go"), lambda _m, _w: Hold(on=False)),
    Row(
        CONTROL,
        "drain rex [30m] [note]",
        "it finishes its work and takes no more",
        _line(
            r"^drain\s+(?P<node>[a-z0-9][\w.-]*)(?:\s+(?P<amount>\d{1,4}[mhd]))?(?:\s+(?P<note>.+?))?"
        ),
        _node_order(NodeVerb.DRAIN),
    ),
    Row(
        CONTROL,
        "undrain rex",
        "it takes work again",
        _line(r"^undrain\s+(?P<node>[a-z0-9][\w.-]*)"),
        _node_order(NodeVerb.UNDRAIN),
    ),
    Row(
        CONTROL,
        "reset rex",
        "closes its circuit breaker",
        _line(r"^reset\s+(?P<node>[a-z0-9][\w.-]*)"),
        _node_order(NodeVerb.RESET),
    ),
    Row(
        CONTROL,
        "retry 42 [elsewhere]",
        "again, as a new task; elsewhere: on another machine, also what is not over",
        _line(r"^retry" + _MAYBE_ID + r"(?:\s+(?P<elsewhere>elsewhere))?"),
        _retry,
    ),
    Row(
        CONTROL,
        "help [verb]",
        "this list, or more about one",
        _line(r"^help(?:\s+(?P<verb>\S+))?"),
        _help,
    ),
)

BARE_ON_REPLY = frozenset({Topic.WHY, Topic.MORE, Topic.COST})
"""Looks that, as an inline reply without a number, mean the task replied to."""


def parse(text: str, words: Vocabulary) -> Command:
    """What a message means. An empty one is Unclear."""
    body = text.strip()
    if not body:
        return Unclear("That was empty. help lists what I understand.")
    command = _parse_exact(body, words)
    return command if command is not None else _parse_work(body, words)


def _parse_exact(body: str, words: Vocabulary) -> Command | None:
    line = first_line(body)
    if is_panic(line):
        return Stop(everything=True)
    if match := _STOP.match(line):
        return _stop(match, words)
    several = len(body.splitlines()) > 1
    command = _first_match(body if several else _LONE_CLOSING.sub("", body), words)
    if several or not (command is None or isinstance(command, Unclear)):
        return command
    asked = _first_match(line.rstrip("?").rstrip(), words)
    return _first_match(line, words) or (asked if isinstance(asked, Look | Help) else command)


def _first_match(text: str, words: Vocabulary) -> Command | None:
    for row in TABLE:
        if row.build is None or row.pattern is None:
            continue
        match = row.pattern.match(text)
        command = row.build(match, words) if match else None
        if command is not None:
            return command
    return None


def _parse_work(body: str, words: Vocabulary) -> Command:
    narrowed = _narrow(body, words, [row for row in TABLE if row.prefix is not None])
    if isinstance(narrowed, Unclear):
        return narrowed
    # What a follow-up cannot have of its own keeps it from being one.
    plain = replace(narrowed, node=None, approval=None, priority=Priority.NORMAL, prompt="")
    match = _FOLLOW_UP.match(narrowed.prompt) if plain == Work(prompt="") else None
    if match is None:
        return narrowed
    further = follow_up(int(match.group("id")), match.group("rest"))
    return replace(
        further,
        node=narrowed.node,
        approval=narrowed.approval or further.approval,
        priority=further.priority if narrowed.priority is Priority.NORMAL else narrowed.priority,
    )


def follow_up(task_id: int, text: str) -> Continue:
    """What `#42 <text>` or an inline reply to #42 asks for; `ask` and `!` count there as well."""
    work = _narrow(text.strip(), Vocabulary(), [row for row in TABLE if row.follows])
    assert isinstance(work, Work)
    return Continue(task_id, work.prompt, approval=work.approval, priority=work.priority)


def _narrow(body: str, words: Vocabulary, left: list[Row]) -> Work | Unclear:
    """Prefix forms may be combined in any order, each once: `! @researcher on rex …`."""
    work, rest = Work(prompt=""), body
    found = True
    while found:
        found = False
        for row in left:
            assert row.pattern is not None
            assert row.prefix is not None
            match = row.pattern.match(rest)
            narrowed = row.prefix(match, words, work) if match else None
            if isinstance(narrowed, Unclear):
                return narrowed
            if match is not None and narrowed is not None:
                rest = narrowed.prompt or match.group("rest")
                work, found = replace(narrowed, prompt=""), True
                left.remove(row)
                break
    return replace(work, prompt=rest.strip())


def find_row(verb: str) -> Row | None:
    """The row `help <verb>` is about."""
    wanted = verb.lower().lstrip("@") or "@"
    for row in TABLE:
        if wanted in row.verbs or wanted == row.usage.split()[0].lower():
            return row
    return None


def help_text(verb: str | None = None) -> str:
    """The table as a bubble, or one row of it."""
    if verb is not None:
        row = find_row(verb)
        return f"{row.usage}: {row.meaning}." if row else f"No verb is called {verb}."
    lines: list[str] = []
    for group in (WORK, ANSWER, LOOK, CONTROL):
        lines.append(group + ":")
        lines += [f"  {row.usage}: {row.meaning}" for row in TABLE if row.group == group]
    return "\n".join(lines)
