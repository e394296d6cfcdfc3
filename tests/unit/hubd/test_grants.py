"""A yes for the rest of a task: by text, by call, what it answers, and what it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.wire.approvals import AnswerApproval, Approval, ApprovalState, Decision, Reach, Risk
from common.wire.nodes import Ask
from hubd.domain import grammar
from hubd.domain.commands import Answer, Command, Revoke, Unclear, Vocabulary
from hubd.errors import ConflictError, InvalidError
from tests.unit.hubd.hub import OPERATOR, Hub, node_actor, open_hub

RULE = "Bash(npm test *)"
FOR_ALL = AnswerApproval(decision=Decision.APPROVE, scope=Reach.TASK)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with open_hub(tmp_path / "hub.db") as running:
        await running.node("rex", slots=4)
        yield running


async def running(hub: Hub, **fields: object) -> tuple[int, int]:
    """The id and the fence of a task that runs."""
    task = await hub.submit(**fields)  # type: ignore[arg-type]
    (lease,) = [lease for lease in await hub.claim("rex") if lease.task.id == task.id]
    await hub.start(lease.fence, "rex", session_id=f"s-{task.id}")
    return task.id, lease.fence


async def ask(
    hub: Hub, fence: int, command: str = "npm test", rules: tuple[str, ...] = (RULE,), **more: str
) -> Approval:
    hub.orders += 1
    question = Ask(
        kind=more.pop("kind", "tool"),
        summary=f"Bash: {command}",
        detail=f'{{"command": "{command}"}}',
        tool=more.pop("tool", "Bash"),
        ask_id=f"q{hub.orders}",
        rules=list(rules),
        **more,
    )
    return await hub.services.attempts.ask(fence, question, by=node_actor("rex"))


async def for_all(hub: Hub, approval: Approval) -> Approval:
    return await hub.services.approvals.answer(approval.code, FOR_ALL, by=OPERATOR)


async def test_a_yes_for_all_answers_the_like_in_its_task_and_is_recorded(hub: Hub) -> None:
    task_id, fence = await running(hub)
    first = await ask(hub, fence)
    assert first.grantable
    await for_all(hub, first)
    again = await ask(hub, fence, "npm test -- --watch=false")
    assert (again.state, again.answered_via) == (ApprovalState.APPROVED, "grant")
    assert again.note == f"y {first.code} all"
    assert again.answered_by == OPERATOR.name
    (grant,) = (await hub.task(task_id)).grants
    assert (grant.code, grant.what, grant.granted_by) == (first.code, RULE, OPERATOR.name)
    other = await ask(hub, fence, "make", ("Bash(make *)",))
    assert other.state is ApprovalState.PENDING
    assert (await hub.beat("rex", fence)).answers[0].code == first.code
    assert (await hub.beat("rex", fence)).answers == []


async def test_it_never_answers_high_risk_whatever_its_rule_covers(hub: Hub) -> None:
    _, fence = await running(hub)
    await for_all(hub, await ask(hub, fence, "git push", ("Bash(git push *)",)))
    forced = await ask(hub, fence, "git push --force", ("Bash(git push *)",))
    assert (forced.state, forced.risk) == (ApprovalState.PENDING, Risk.HIGH)
    said = await ask(hub, fence, "git push", ("Bash(git push *)",), risk="high")
    assert said.state is ApprovalState.PENDING


@pytest.mark.parametrize(
    ("kind", "tool", "command"),
    [
        ("tool", "Bash", "rm -rf build"),
        ("question", "AskUserQuestion", "x"),
        ("tool", "ExitPlanMode", "x"),
    ],
)
async def test_high_risk_plans_and_questions_are_answered_once_and_told_why(
    hub: Hub, kind: str, tool: str, command: str
) -> None:
    task_id, fence = await running(hub)
    asked = await ask(hub, fence, command, kind=kind, tool=tool)
    assert not asked.grantable
    with pytest.raises(InvalidError, match="once"):
        await for_all(hub, asked)
    assert (await hub.task(task_id)).grants == []
    once = AnswerApproval(decision=Decision.APPROVE)
    answered = await hub.services.approvals.answer(asked.code, once, by=OPERATOR)
    assert answered.state is ApprovalState.APPROVED


async def test_it_is_no_other_tasks_no_retrys_and_no_follow_ups(hub: Hub) -> None:
    task_id, fence = await running(hub)
    await for_all(hub, await ask(hub, fence))
    _, beside = await running(hub)
    assert (await ask(hub, beside)).state is ApprovalState.PENDING
    await hub.result(fence, "rex", "permanent", error="x", session_id=f"s-{task_id}")
    again = await hub.services.tasks.retry(task_id, key=None, by=OPERATOR)
    assert again.task.grants == []
    _, further = await running(hub, continue_of=task_id)
    assert (await ask(hub, further)).state is ApprovalState.PENDING


async def test_it_outlives_a_park_and_a_new_attempt_of_its_task(hub: Hub) -> None:
    task_id, fence = await running(hub)
    asked = await ask(hub, fence)
    await hub.result(fence, "rex", "parked", session_id="s-1", approval_code=asked.code)
    await for_all(hub, asked)
    (lease,) = await hub.claim("rex")
    assert lease.task.id == task_id
    assert lease.task.resume is not None
    await hub.start(lease.fence, "rex")
    assert (await ask(hub, lease.fence)).state is ApprovalState.APPROVED
    await hub.result(lease.fence, "rex", "interrupted", session_id="s-1")
    await hub.tick(120)
    await hub.beat("rex")
    (later,) = await hub.claim("rex")
    await hub.start(later.fence, "rex")
    assert (await ask(hub, later.fence)).state is ApprovalState.APPROVED


async def test_it_answers_what_already_waits_and_can_be_taken_back(hub: Hub) -> None:
    task_id, fence = await running(hub)
    first, second = await ask(hub, fence), await ask(hub, fence, "npm test a")
    await for_all(hub, first)
    now_is = await hub.services.approvals.get(second.code, by=OPERATOR)
    assert (now_is.state, now_is.answered_via) == (ApprovalState.APPROVED, "grant")
    bare = await hub.services.tasks.revoke(task_id, by=OPERATOR)
    assert bare.grants == []
    assert (await ask(hub, fence)).state is ApprovalState.PENDING
    with pytest.raises(ConflictError, match="no standing yes"):
        await hub.services.tasks.revoke(task_id, by=OPERATOR)


async def test_a_tool_without_rules_is_covered_as_the_one_call_it_is(hub: Hub) -> None:
    _, fence = await running(hub)
    await for_all(hub, await ask(hub, fence, "odd", ()))
    assert (await ask(hub, fence, "odd", ())).state is ApprovalState.APPROVED
    assert (await ask(hub, fence, "odder", ())).state is ApprovalState.PENDING


async def test_by_text_after_two_yeses_it_is_offered_given_shown_and_taken_back(hub: Hub) -> None:
    await hub.text("tidy up")
    await hub.deliver()
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    for number in range(3):
        asked = await ask(hub, lease.fence, f"npm test {number}")
        bubble = next(text for text in await hub.replies() if asked.code in text)
        offer = f"y {asked.code} all: also the rest of this task: {RULE}"
        assert (offer in bubble) is (number == 2)
        await hub.deliver()
        said = await hub.say(f"y {asked.code} all" if number == 2 else f"y {asked.code}")
    assert f"approved for the rest of the task: {RULE}. revoke 1 ends it." in said[-1]
    assert (await ask(hub, lease.fence)).state is ApprovalState.APPROVED
    assert f"allowed for all of it: {RULE} (revoke 1)" in (await hub.say("#1"))[-1]
    assert "#1 asks again" in (await hub.say("revoke 1"))[-1]
    assert (await ask(hub, lease.fence)).state is ApprovalState.PENDING


async def test_high_risk_by_text_says_why_and_can_still_be_allowed_once(hub: Hub) -> None:
    await hub.text("tidy up")
    (lease,) = await hub.claim("rex")
    await hub.start(lease.fence, "rex")
    asked = await ask(hub, lease.fence, "rm -rf build")
    await hub.deliver()
    assert "can only be allowed once" in (await hub.say(f"y {asked.code} all"))[-1]
    assert "high risk" in (await hub.say("y all"))[-1]
    assert "approved" in (await hub.say(f"y {asked.code}"))[-1]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("y K7 all", Answer(Decision.APPROVE, "K7", scope=Reach.TASK)),
        ("Yes K7, all!", Answer(Decision.APPROVE, "K7", scope=Reach.TASK)),
        ("y k7 always", Answer(Decision.APPROVE, "K7", scope=Reach.TASK)),
        ("K7 all", Answer(Decision.APPROVE, "K7", scope=Reach.TASK)),
        ("yes all", Answer(Decision.APPROVE, scope=Reach.TASK)),
        ("👍 all", Answer(Decision.APPROVE, scope=Reach.TASK)),
        ("n K7 all", Answer(Decision.DENY, "K7")),
        ("y K7 all the tests are fine", Answer(Decision.APPROVE, "K7", "all the tests are fine")),
        ("revoke 42", Revoke(42)),
        ("revoke #42", Revoke(42)),
        ("revoke", Revoke(None)),
    ],
)
def test_forms_of_a_yes_for_all(text: str, meaning: Command) -> None:
    assert grammar.parse(text, Vocabulary()) == meaning


def test_no_to_all_is_unclear_and_runs_nothing() -> None:
    assert isinstance(grammar.parse("no all", Vocabulary()), Unclear)
