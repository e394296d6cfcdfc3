"""Which project a text means, and that no task waits for one that exists nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.wire.facts import NodeFacts
from hubd.domain import projects as rules
from hubd.domain.commands import Unclear, Vocabulary, Work
from hubd.domain.grammar import parse
from hubd.domain.projects import Named, Unknown
from hubd.errors import InvalidError
from tests.unit.hubd.hub import Hub, projects

KNOWN = ("shop", "Web Shop", "api_v2", "Übersetzer", "cases")


@pytest.mark.parametrize(
    ("text", "project", "branch", "rest"),
    [
        ("shop@main fix it", "shop", "main", "fix it"),
        ("Shop fix it", "shop", None, "fix it"),
        ("SHOP: fix it", "shop", None, "fix it"),
        ("shop, fix it", "shop", None, "fix it"),
        ("web shop fix it", "Web Shop", None, "fix it"),
        ("web  shop@feature/x fix it", "Web Shop", "feature/x", "fix it"),
        ("web-shop fix it", "Web Shop", None, "fix it"),
        ("webshop: fix it", "Web Shop", None, "fix it"),
        ("“web shop” fix it", "Web Shop", None, "fix it"),
        ("api v2 fix it", "api_v2", None, "fix it"),
        ("api-v2@dev: fix it", "api_v2", "dev", "fix it"),
        ("übersetzer fix it", "Übersetzer", None, "fix it"),
        ("the shop repo, fix it", "shop", None, "fix it"),
        ("project shop fix it", "shop", None, "fix it"),
        ("my web shop project fix it", "Web Shop", None, "fix it"),
        ("shop\nfix it\nall of it", "shop", None, "fix it\nall of it"),
        ("shop", "shop", None, ""),
        ("shop@main", "shop", "main", ""),
    ],
)
def test_a_project_is_recognised_as_people_write_it(
    text: str, project: str, branch: str | None, rest: str
) -> None:
    assert rules.find(text, KNOWN, complete=True) == Named(project, branch, rest)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shpo fix the tests", "shpo"),
        ("shops: look at it", "shops"),
        ("nosuch@main look at it", "nosuch"),
        ("web shpo fix the tests", "web shpo"),
        ("blorp fix the tests", "blorp"),
        ("my-app run the tests", "my-app"),
    ],
)
def test_what_can_only_be_a_project_is_not_run_as_a_prompt(text: str, name: str) -> None:
    assert rules.find(text, KNOWN, complete=True) == Unknown(name)


@pytest.mark.parametrize(
    "text",
    [
        "general, what is a monad",
        "general fix what you find",
        "short: what is new",
        "python write a quick sort",
        "case the build fails, tell me",
        "the shop I bought bread, why is it dear?",
        "2026 sales rose. Why?",
        "bob@example.com's mail there is a question",
        "node.js what is a stream",
        "what order do planets come",
        "",
    ],
)
def test_an_ordinary_text_that_begins_with_in_stays_one(text: str) -> None:
    assert rules.find(text, KNOWN, complete=True) is None


def test_while_a_node_may_have_more_only_a_branch_makes_an_unknown_name_a_project() -> None:
    assert rules.find("shpo fix it", KNOWN, complete=False) is None
    assert rules.find("blog@dev fix it", KNOWN, complete=False) == Named("blog", "dev", "fix it")


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=9), max_size=4), st.booleans())
def test_any_text_is_read_and_a_project_named_is_a_known_one(
    text: str, known: list[str], complete: bool
) -> None:
    found = rules.find(text, known, complete=complete)
    if isinstance(found, Named) and complete:
        assert found.project in known


def test_the_answer_names_the_nearest_and_what_there_is() -> None:
    words = Vocabulary(projects={name: name for name in KNOWN})
    said = parse("in web shpo fix it", words)
    assert isinstance(said, Unclear)
    assert "Did you mean Web Shop?" in said.hint
    assert "There are: api_v2, cases, shop," in said.hint
    assert parse("in shop", words) == Unclear("What is to be done in shop? in shop <text>.")
    assert "add it to agent.projects" in parse("in shop@x fix", Vocabulary()).hint  # type: ignore[union-attr]
    assert parse("! in web shop on fix it", words) == Work(
        "on fix it",
        project="Web Shop",
        priority=parse("! x", words).priority,  # type: ignore[union-attr]
    )


async def test_a_task_goes_only_to_a_node_that_has_its_project(hub: Hub) -> None:
    """`in shop …` was run as a prompt in an empty folder."""
    await hub.node("Archon", facts=projects())
    await hub.node("Rex", facts=projects("shop"))
    (said,) = await hub.say("in shop@main fix the tests")
    assert "Rex has room" in said
    assert await hub.claim("Archon") == []
    why = await hub.services.tasks.why(1)
    reasons = {verdict.node: verdict.reason for verdict in why.nodes}
    assert reasons["Archon"] == "has no project shop"
    (lease,) = await hub.claim("Rex")
    assert (lease.task.project, lease.task.branch) == ("shop", "main")
    assert lease.task.prompt == "fix the tests"


async def test_a_project_of_a_sleeping_node_is_waited_for_and_said_so(hub: Hub) -> None:
    await hub.node("Rex", facts=projects("shop"))
    hub.clock.advance(600)
    await hub.node("Archon", facts=projects("site"))
    (said,) = await hub.say("in shop fix tests")
    assert "Rex is away" in said
    assert await hub.claim("Archon") == []
    await hub.beat("Rex")
    assert [lease.task.project for lease in await hub.claim("Rex")] == ["shop"]


async def test_an_unknown_project_is_answered_and_no_task_is_made(hub: Hub) -> None:
    await hub.node("Rex", facts=projects("shop", "site"))
    (said,) = await hub.say("in shpo fix the tests")
    assert said == "No node has a project shpo. Did you mean shop? There are: shop, site."
    assert await hub.rows("SELECT id FROM tasks") == []
    with pytest.raises(InvalidError, match="Did you mean shop"):
        await hub.submit(project="shpo")
    assert (await hub.submit(project="SHOP")).project == "shop"


async def test_a_pinned_node_without_the_project_is_refused_with_where_it_is(hub: Hub) -> None:
    await hub.node("Archon", facts=projects("site"))
    await hub.node("Rex", facts=projects("shop"))
    (said,) = await hub.say("on archon in shop fix the tests")
    assert said == ("Archon has no project shop; it is on Rex: name that node, or none")
    with pytest.raises(InvalidError, match="it is on Rex"):
        await hub.submit(project="shop", node="Archon")


async def test_a_project_that_cannot_be_used_anywhere_is_refused_with_the_cause(hub: Hub) -> None:
    await hub.node("Rex", facts=projects("shop", problem="the folder ~/shop does not exist"))
    with pytest.raises(InvalidError, match="on Rex: the folder ~/shop does not exist"):
        await hub.submit(project="shop")
    await hub.node("Archon", facts=projects("shop"))
    await hub.submit(project="shop")
    assert await hub.claim("Rex") == []
    assert len(await hub.claim("Archon")) == 1


async def test_a_project_may_appear_where_no_node_is_known_or_one_does_not_say(hub: Hub) -> None:
    first = await hub.submit(project="shop")
    await hub.node("old", facts=NodeFacts())
    second = await hub.submit(project="blog")
    assert (first.project, second.project) == ("shop", "blog")
    assert len(await hub.claim("old")) == 2


async def test_a_heartbeat_brings_a_new_project(hub: Hub) -> None:
    await hub.node("Rex", facts=projects("site"))
    await hub.beat("Rex", facts=projects("site", "shop"))
    await hub.submit(project="shop")
    assert len(await hub.claim("Rex")) == 1


async def test_two_spellings_of_one_project_are_one(hub: Hub) -> None:
    await hub.node("Archon", facts=projects("Shop"))
    await hub.node("Rex", facts=projects("shop"))
    for _ in range(2):
        await hub.submit(project="shop")
    assert len(await hub.claim("Archon", 1)) == len(await hub.claim("Rex", 1)) == 1
