"""The text grammar: exact forms are commands, everything else is work, nothing else is done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.wire.approvals import Decision
from common.wire.tasks import Priority
from hubd.domain import grammar
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
    Stop,
    Topic,
    Unclear,
    Vocabulary,
    Work,
)

WORDS = Vocabulary(
    nodes=frozenset({"rex", "archon"}),
    specialists=frozenset({"researcher"}),
    projects=frozenset({"web"}),
)
YES, NO = Decision.APPROVE, Decision.DENY


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("tidy the repo", Work("tidy the repo")),
        ("  two\nlines  ", Work("two\nlines")),
        ("@researcher find it", Work("find it", specialist="researcher")),
        ("@Researcher: find it", Work("find it", specialist="researcher")),
        ("on Rex build", Work("build", node="rex")),
        ("in web@dev fix it", Work("fix it", project="web", branch="dev")),
        ("in web fix it", Work("fix it", project="web")),
        ("ask publish", Work("publish", approval=True)),
        ("! now", Work("now", priority=Priority.HIGH)),
        ("low later", Work("later", priority=Priority.LOW)),
        (
            "! @researcher on rex in web ask go\nslowly",
            Work(
                "go\nslowly",
                specialist="researcher",
                node="rex",
                project="web",
                approval=True,
                priority=Priority.HIGH,
            ),
        ),
        ("#42 also tests", Continue(42, "also tests")),
        ("on rex #42 also tests", Continue(42, "also tests", "rex")),
        ("! on rex #42 also tests", Work("#42 also tests", node="rex", priority=Priority.HIGH)),
        ("y", Answer(YES)),
        ("YES", Answer(YES)),
        ("n", Answer(NO)),
        ("👍", Answer(YES)),
        ("👍🏽", Answer(YES)),
        ("👎", Answer(NO)),
        ("y k7", Answer(YES, "K7")),
        ("n K7 too risky", Answer(NO, "K7", "too risky")),
        ("pending", Look(Topic.PENDING)),
        ("Status", Look(Topic.STATUS)),
        ("ls", Look(Topic.LIST)),
        ("#42", Look(Topic.TASK, 42)),
        ("why 42", Look(Topic.WHY, 42)),
        ("why #42", Look(Topic.WHY, 42)),
        ("why", Look(Topic.WHY)),
        ("more 42", Look(Topic.MORE, 42)),
        ("nodes", Look(Topic.NODES)),
        ("agents", Look(Topic.AGENTS)),
        ("cost", Look(Topic.COST, period="today")),
        ("cost week", Look(Topic.COST, period="week")),
        ("cost #42", Look(Topic.COST, 42)),
        ("stop 42", Stop(42)),
        ("stop all", Stop(everything=True)),
        ("stop", Stop()),
        ("hold", Hold(on=True)),
        ("go", Hold(on=False)),
        ("drain rex", NodeOrder(NodeVerb.DRAIN, "rex")),
        ("drain Rex 30m lunch break", NodeOrder(NodeVerb.DRAIN, "rex", 1800.0, "lunch break")),
        ("undrain rex", NodeOrder(NodeVerb.UNDRAIN, "rex")),
        ("reset rex", NodeOrder(NodeVerb.RESET, "rex")),
        ("retry 42", Retry(42)),
        ("help", Help()),
        ("help cost", Help("cost")),
    ],
)
def test_every_form_of_the_grammar_is_understood(text: str, command: Command) -> None:
    assert grammar.parse(text, WORDS) == command


@pytest.mark.parametrize(
    "text",
    [
        "yes please book it",
        "no idea what is wrong, look",
        "stop worrying about it",
        "status of the build?",
        "status\nand then fix it",
        "on monday remind me",
        "in the morning check the logs",
        "drain the swamp",
        "cost of living in Lisbon",
        "why is the sky blue",
        "help me with this",
        "hold the line",
        "go to the shop and see",
        "retry it please",
        "!!! wow",
        "nodes and edges, explain",
    ],
)
def test_a_sentence_that_begins_like_a_command_is_work(text: str) -> None:
    command = grammar.parse(text, WORDS)
    assert command == Work(text.strip())


@pytest.mark.parametrize(
    "text", ["@nobody do it", "y K7 L3", "y K7 no", "drain pool", "reset nothing", "   "]
)
def test_what_looks_like_a_command_and_is_none_does_nothing(text: str) -> None:
    assert isinstance(grammar.parse(text, WORDS), Unclear)


def test_help_lists_every_row_of_the_table() -> None:
    text = grammar.help_text()
    for row in grammar.TABLE:
        assert f"{row.usage}: {row.meaning}" in text


@pytest.mark.parametrize("row", [r for r in grammar.TABLE if r.build or r.prefix])
def test_help_knows_each_verb(row: grammar.Row) -> None:
    verb = (row.verbs or (row.usage.split()[0],))[0]
    assert row.usage in grammar.help_text(verb)


@given(st.text(max_size=200))
def test_any_text_means_something_and_work_keeps_its_words(text: str) -> None:
    command = grammar.parse(text, WORDS)
    if isinstance(command, Work):
        assert command.prompt
        assert command.prompt in text


@given(st.sampled_from([r.usage for r in grammar.TABLE]), st.text(min_size=1, max_size=30))
def test_no_tail_turns_a_control_verb_into_something_else(usage: str, tail: str) -> None:
    """`stop`, `hold` and their like act only as the exact forms the table names."""
    verb = usage.split()[0]
    command = grammar.parse(f"{verb} zz {tail}", WORDS)
    assert not isinstance(command, Stop | Hold | Retry)
