"""The text grammar: exact forms are commands, everything else is work, nothing else is done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.panic import is_panic
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
    nodes={"rex": "Rex", "archon": "archon"},
    specialists={"researcher": "researcher"},
    projects={"web": "Web"},
)
YES, NO = Decision.APPROVE, Decision.DENY


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("tidy the repo", Work("tidy the repo")),
        ("  two\nlines  ", Work("two\nlines")),
        ("@researcher find it", Work("find it", specialist="researcher")),
        ("@Researcher: find it", Work("find it", specialist="researcher")),
        ("on Rex build", Work("build", node="Rex")),
        ("in web@dev fix it", Work("fix it", project="Web", branch="dev")),
        ("in web fix it", Work("fix it", project="Web")),
        ("ask publish", Work("publish", approval=True)),
        ("! now", Work("now", priority=Priority.HIGH)),
        ("low later", Work("later", priority=Priority.LOW)),
        (
            "! @researcher on rex in web ask go\nslowly",
            Work(
                "go\nslowly",
                specialist="researcher",
                node="Rex",
                project="Web",
                approval=True,
                priority=Priority.HIGH,
            ),
        ),
        ("#42 also tests", Continue(42, "also tests")),
        ("on rex #42 also tests", Continue(42, "also tests", "Rex")),
        (
            "! on rex #42 also tests",
            Continue(42, "also tests", "Rex", priority=Priority.HIGH),
        ),
        ("#42 ask publish it", Continue(42, "publish it", approval=True)),
        ("ask #42 publish it", Continue(42, "publish it", approval=True)),
        ("#42 ! ask now.", Continue(42, "now.", approval=True, priority=Priority.HIGH)),
        ("#42 low contrast", Continue(42, "low contrast")),
        ("@researcher #42 look", Work("#42 look", specialist="researcher")),
        ("y", Answer(YES)),
        ("YES", Answer(YES)),
        ("n", Answer(NO)),
        ("👍", Answer(YES)),
        ("👍🏽", Answer(YES)),
        ("👎", Answer(NO)),
        ("y k7", Answer(YES, "K7")),
        ("n K7 too risky", Answer(NO, "K7", "too risky")),
        ("y K7\nthanks", Answer(YES, "K7", "thanks")),
        ("n K7\nnot\nnow", Answer(NO, "K7", "not now")),
        ("stop all\nnow", Stop(everything=True)),
        ("Stop #42.\nit is wrong", Stop(42)),
        ("status?", Look(Topic.STATUS)),
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
        ("drain rex", NodeOrder(NodeVerb.DRAIN, "Rex")),
        ("drain Rex 30m lunch break", NodeOrder(NodeVerb.DRAIN, "Rex", 1800.0, "lunch break")),
        ("undrain rex", NodeOrder(NodeVerb.UNDRAIN, "Rex")),
        ("reset rex", NodeOrder(NodeVerb.RESET, "Rex")),
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
        "hold\nthe release notes and fix them",
        "y\nand then?",
        "y?",
        "stop 42?",
        "stop all the lights in the repo.",
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


FORMS = [
    "y", "n", "y K7", "pending", "status", "ls", "#42", "why 42", "more 42", "nodes", "agents",
    "cost week", "stop 42", "stop all", "stop", "hold", "go", "drain rex", "undrain rex",
    "reset rex", "retry 42", "help",
]  # fmt: skip


ENDS = ["", ".", "!", "!!", "…", " .", "\u00a0", "\n\n", " !\n"]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_means_the_same_as_people_and_ios_type_it(form: str) -> None:
    meant = grammar.parse(form, WORDS)
    for end in ENDS:
        for typed in (form, form.upper(), form.capitalize()):
            assert grammar.parse(typed + end, WORDS) == meant, (typed, end)


_PANICS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", " ", "\ufffc", "\n"]),
    st.sampled_from(["stop", "Stop", "STOP", "\u017ftop"]),
    st.sampled_from([" ", "  ", "\t", "\u00a0"]),
    st.sampled_from(["all", "All", "ALL!", "all.", "all …"]),
    st.sampled_from(["", "\nnow", "\n\nplease", "!"]),
)


@given(st.text(max_size=20) | _PANICS)
def test_what_the_bridge_takes_for_panic_stops_everything_in_the_hub(text: str) -> None:
    stops = grammar.parse(text, WORDS) == Stop(everything=True)
    assert stops == is_panic(text)
