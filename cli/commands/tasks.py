"""`mesh ls`, `show`, `why`, `cancel`, `retry`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cli.errors import CliError
from cli.output import (
    age,
    compact,
    dollars,
    first_line,
    json_option,
    plain,
    print_json,
    print_table,
)
from cli.session import Session, pass_session
from cli.states import word_for, word_of
from common.client import HubError, OperatorApi
from common.clock import to_epoch
from common.costs import cost_words
from common.wire.approvals import Approval, ApprovalState
from common.wire.tasks import Attempt, Task, TaskDetail, TaskPage


class TaskId(click.ParamType[int]):
    """`42` or `#42`."""

    name = "task"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).removeprefix("#")
        if not text.isdecimal() or not 0 < int(text) < 2**63:
            self.fail(f"{value!r} is no task: give its number, such as 42.", param, ctx)
        return int(text)


TASK_ID = TaskId()


@click.command()
@click.option(
    "--state",
    help="waiting, live, finished, or states joined by commas. Without it: what is not finished.",
)
@click.option("--all", "everything", is_flag=True, help="Finished ones too, newest first.")
@click.option("--node", help="Only of this node.")
@click.option("--specialist", help="Only of this specialist.")
@click.option("--search", help="Only with this in title or prompt.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@pass_session
def ls(
    session: Session,
    state: str | None,
    everything: bool,
    node: str | None,
    specialist: str | None,
    search: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List tasks.

    \b
    Examples:
      mesh ls                       what waits or runs
      mesh ls --state finished --node Rex
      mesh ls --all --search invoice --json
    """
    wanted = state or (None if everything else "waiting,live")

    async def looked(hub: OperatorApi) -> tuple[TaskPage, list[Approval]]:
        asked = (await hub.approvals(state=ApprovalState.PENDING)).approvals
        return await hub.tasks(
            state=wanted, node=node, specialist=specialist, q=search, limit=limit
        ), asked

    page, asked = session.ask_hub(looked)
    if as_json:
        print_json(page)
        return
    if not page.tasks:
        click.echo("No such task." if state or everything else "Nothing waits or runs.")
        return
    now = session.clock.now()
    print_table(
        ["TASK", "STATE", "NODE", ">AGE", ">COST", "TITLE"],
        [_row(task, asked, now) for task in page.tasks],
    )
    if page.next_before is not None:
        click.echo(f"There are older ones: --limit {limit * 2} shows more.", err=True)


def _row(task: Task, asked: Sequence[Approval], now: float) -> Sequence[str]:
    who = f"@{task.specialist} " if task.specialist else ""
    why = f" ({plain(task.wait_reason)})" if task.wait_reason else ""
    return (
        f"#{task.id}",
        word_for(task, asked),
        task.node or "-",
        age(task.created_at, now),
        cost_words(task.cost_usd, task.unknown_cost_attempts, dollars),
        first_line(f"{who}{task.title}{why}", 100),
    )


@click.command()
@click.argument("task_id", metavar="TASK", type=TASK_ID)
@json_option
@pass_session
def show(session: Session, task_id: int, as_json: bool) -> None:
    """Show a task: its way so far, its attempts, what it cost, and its whole result."""

    async def looked(hub: OperatorApi) -> tuple[TaskDetail, list[Approval]]:
        asked = (await hub.approvals(state=ApprovalState.PENDING)).approvals
        return await hub.task(task_id), [a for a in asked if a.task_id == task_id]

    found, asked = session.ask_hub(looked)
    if as_json:
        print_json(found)
        return
    for line in _described(found, asked, session.clock.now()):
        click.echo(line)
    if found.attempts:
        click.echo()
        print_table(
            [">FENCE", ">N", "NODE", "OUTCOME", ">TOOK", ">COST", "ERROR"],
            [_attempt_row(attempt, session.clock.now()) for attempt in found.attempts],
        )
    if found.result:
        click.echo()
        click.echo(plain(found.result))


def _described(task: TaskDetail, asked: Sequence[Approval], now: float) -> list[str]:
    who = f" for @{task.specialist}" if task.specialist else ""
    where = f" on {task.node}" if task.node else ""
    lines = [
        f"#{task.id} {word_for(task, asked)}{where}{who}, {age(task.created_at, now)} old",
        f"  {first_line(task.prompt, 200)}",
        f"  cost {cost_words(task.cost_usd, task.unknown_cost_attempts, dollars)}, "
        f"{compact(_tokens_in(task))} tokens in, {compact(task.output_tokens)} out",
    ]
    if task.wait_reason:
        lines.append(f"  waits: {plain(task.wait_reason)}")
    lines += [f"  asks you: mesh approve {approval.code}" for approval in asked]
    lines += [f"  allowed for all of it: {first_line(grant.what, 200)}" for grant in task.grants]
    if task.error:
        lines.append(f"  error: {first_line(task.error, 300)}")
    for verb, other in (("retry of", task.retry_of), ("goes on from", task.continue_of)):
        if other:
            lines.append(f"  {verb} #{other}")
    return lines


def _tokens_in(task: Task) -> int:
    return task.input_tokens + task.cache_read_tokens + task.cache_write_tokens


def _attempt_row(attempt: Attempt, now: float) -> Sequence[str]:
    took = "-"
    if attempt.started_at is not None:
        ended = to_epoch(attempt.ended_at) if attempt.ended_at else now
        took = age(attempt.started_at, ended)
    return (
        str(attempt.fence),
        str(attempt.number),
        attempt.node,
        attempt.outcome or "running",
        took,
        cost_words(attempt.cost_usd, 0, dollars),
        first_line(attempt.error or "", 80),
    )


@click.command()
@click.argument("task_id", metavar="TASK", type=TASK_ID)
@json_option
@pass_session
def why(session: Session, task_id: int, as_json: bool) -> None:
    """Say why a task waits: the dispatcher's own verdict on every node."""
    found = session.ask_hub(lambda hub: hub.why(task_id))
    if as_json:
        print_json(found)
        return
    place = f", place {found.place} in line" if found.place else ""
    click.echo(f"#{found.task_id} {word_of(found.state)}{place}: {plain(found.reason)}")
    if found.nodes:
        print_table(
            ["NODE", "VERDICT"],
            [
                (verdict.node, ("would take it" if verdict.eligible else plain(verdict.reason)))
                for verdict in found.nodes
            ],
        )


@click.command()
@click.argument("task_ids", metavar="[TASK]...", type=TASK_ID, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that waits or runs.")
@json_option
@pass_session
def cancel(session: Session, task_ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Stop tasks: a waiting one at once, a running one when its node has ended it.

    \b
    Examples:
      mesh cancel 42 43
      mesh cancel --all
    """
    if bool(task_ids) == everything:
        raise click.UsageError("Say which tasks, or --all.")

    async def cancelled(hub: OperatorApi) -> list[Task]:
        wanted = list(task_ids)
        if everything:
            wanted = [task.id for task in await _unfinished(hub)]
        done: list[Task] = []
        for task_id in wanted:
            try:
                done.append(await hub.cancel(task_id))
            except HubError as error:
                refused.append(error.message)
        return done

    refused: list[str] = []
    tasks = session.ask_hub(cancelled)
    if as_json:
        print_json(tasks)
    elif not tasks and not refused:
        click.echo("Nothing waits or runs.")
    else:
        for task in tasks:
            click.echo(f"#{task.id} {word_of(task.state)}")
    if refused:
        raise CliError("; ".join(refused))


async def _unfinished(hub: OperatorApi) -> list[Task]:
    page = await hub.tasks(state="waiting,live", limit=500)
    tasks = list(page.tasks)
    while page.next_before is not None:
        page = await hub.tasks(state="waiting,live", limit=500, before=page.next_before)
        tasks += page.tasks
    return tasks


@click.command()
@click.argument("task_id", metavar="TASK", type=TASK_ID)
@click.option(
    "--elsewhere",
    is_flag=True,
    help="On another machine than it is or was on; also a task that is not over.",
)
@json_option
@pass_session
def retry(session: Session, task_id: int, elsewhere: bool, as_json: bool) -> None:
    """Run a task again: a finished one as a new task, one that needs you as it is.

    With --elsewhere a task that waits for its machine is let go, and one that runs is stopped there
    first: it starts on another machine once nothing of it can run any more.
    """

    key = session.new_id()
    task = session.ask_hub(lambda hub: hub.retry(task_id, idempotency_key=key, elsewhere=elsewhere))
    if as_json:
        print_json(task)
    else:
        again = f", again for #{task.retry_of}" if task.retry_of else " again"
        if elsewhere and not task.retry_of:
            again = f": {task.wait_reason or 'moves'}"
        click.echo(f"#{task.id} {word_of(task.state)}{again}")
