"""`mesh pending`, `mesh approve`, `mesh deny`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from cli.commands.tasks import TASK_ID
from cli.errors import CliError
from cli.output import age, first_line, json_option, print_json, print_table
from cli.session import Session, pass_session
from common.client import OperatorApi
from common.wire.approvals import AnswerApproval, Approval, ApprovalState, Decision, Reach, Risk


@click.command()
@json_option
@pass_session
def pending(session: Session, as_json: bool) -> None:
    """List the questions that wait for an answer."""
    found = session.ask_hub(lambda hub: hub.approvals(state=ApprovalState.PENDING))
    if as_json:
        print_json(found)
        return
    if not found.approvals:
        click.echo("Nothing waits for an answer.")
        return
    now = session.clock.now()
    rows = [
        (
            question.code,
            f"#{question.task_id}" if question.task_id else "-",
            question.kind,
            question.risk,
            age(question.asked_at, now),
            first_line(question.summary, 100),
        )
        for question in found.approvals
    ]
    print_table(["CODE", "TASK", "KIND", "RISK", ">AGE", "QUESTION"], rows)


@click.command()
@click.argument("code", required=False)
@click.option("--answer", help="For a question: the choice, its number or any text.")
@click.option("--all", "for_all", is_flag=True, help="Also the same kind in the rest of the task.")
@json_option
@pass_session
def approve(
    session: Session, code: str | None, answer: str | None, for_all: bool, as_json: bool
) -> None:
    """Say yes. CODE may be left out when exactly one question waits and it is no high risk.

    \b
    Examples:
      mesh approve K7
      mesh approve K7 --answer Blue
      mesh approve K7 --all
    """
    scope = Reach.TASK if for_all else Reach.ONCE
    _answer(session, code, Decision.APPROVE, answer=answer, scope=scope, as_json=as_json)


@click.command()
@click.argument("code", required=False)
@click.argument("reason", nargs=-1)
@json_option
@pass_session
def deny(session: Session, code: str | None, reason: tuple[str, ...], as_json: bool) -> None:
    """Say no, with a reason if you like. CODE may be left out when exactly one question waits.

    \b
    Example: mesh deny K7 not on a Friday
    """
    note = " ".join(reason) or None
    _answer(session, code, Decision.DENY, note=note, as_json=as_json)


@click.command()
@click.argument("task_id", metavar="TASK", type=TASK_ID)
@json_option
@pass_session
def revoke(session: Session, task_id: int, as_json: bool) -> None:
    """Take back what was allowed for the rest of a task: it asks again from now on."""
    task = session.ask_hub(lambda hub: hub.revoke(task_id))
    if as_json:
        print_json(task)
    else:
        click.echo(f"#{task.id} asks again from now on.")


def _answer(
    session: Session,
    code: str | None,
    decision: Decision,
    *,
    note: str | None = None,
    answer: str | None = None,
    scope: Reach = Reach.ONCE,
    as_json: bool,
) -> None:
    async def answered(hub: OperatorApi) -> Approval:
        found = await _find(hub, code, decision)
        body = AnswerApproval(
            decision=decision,
            note=note,
            answer=answer,
            digest=found.digest or None,
            scope=scope,
        )
        return await hub.answer(found.code, body)

    approval = session.ask_hub(answered)
    if as_json:
        print_json(approval)
        return
    about = f"#{approval.task_id} " if approval.task_id else ""
    word = "approved" if decision is Decision.APPROVE else "denied"
    click.echo(f"{about}{word} ({approval.code}): {first_line(approval.summary, 100)}")
    if approval.scope is Reach.TASK:
        what = first_line(", ".join(approval.rules) or approval.summary, 100)
        click.echo(f"Also for the rest of it: {what}. mesh revoke {approval.task_id} ends that.")


@dataclass(frozen=True, slots=True)
class _Question:
    """What an answer is bound to."""

    code: str
    digest: str = ""
    choices: Sequence[str] = ()


async def _find(hub: OperatorApi, code: str | None, decision: Decision) -> _Question:
    """The question with that code, or the only one: but a yes to a high risk names its code."""
    waiting = (await hub.approvals(state=ApprovalState.PENDING)).approvals
    if code is not None:
        for approval in waiting:
            if approval.code.upper() == code.upper():
                return _question(approval)
        # The hub knows best why not: it says who answered and when, or that no code is like that.
        return _Question(code)
    if len(waiting) == 1:
        only = waiting[0]
        if only.risk is Risk.HIGH and decision is Decision.APPROVE:
            asked = first_line(only.summary, 100)
            raise CliError(f"High risk, so say which: mesh approve {only.code}. It asks: {asked}")
        return _question(only)
    if not waiting:
        raise CliError("Nothing waits for an answer.")
    listed = "; ".join(f"{a.code}: {first_line(a.summary, 50)}" for a in waiting)
    raise CliError(f"{len(waiting)} questions wait, so say which one. {listed}")


def _question(approval: Approval) -> _Question:
    return _Question(approval.code, approval.digest, approval.choices)
