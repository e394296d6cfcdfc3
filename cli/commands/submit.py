"""`mesh submit`, `mesh watch`, `mesh say`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import click

from cli.amount import Amount
from cli.commands.tasks import TASK_ID
from cli.output import dollars, json_option, plain, print_json, span
from cli.session import Session, pass_session
from cli.states import word_of
from cli.words import read_stdin
from common.client import (
    HubClient,
    HubError,
    HubUnreachableError,
    OperatorApi,
    follow_output,
)
from common.clock import to_epoch
from common.costs import cost_words
from common.errors import EXIT_FAILED, EXIT_OK
from common.wire.messages import SendMessage
from common.wire.nodes import OutputKind, OutputLine
from common.wire.tasks import TERMINAL_STATES, Priority, SubmitTask, Task, TaskDetail, TaskState

# How often a task that is followed is asked for, beside its stream: its question may come late.
LOOK_EVERY_S = 1.0


@click.command()
@click.argument("prompt", nargs=-1, required=True)
@click.option("--to", "specialist", help="For this specialist of the bench (@name in texts).")
@click.option("--on", "node", help="On this node only.")
@click.option("--in", "project", metavar="PROJECT[@BRANCH]", help="In a worktree of this project.")
@click.option("--requires", multiple=True, help="A label the node must have; repeatable.")
@click.option("--ask", is_flag=True, help="Wait for a yes before it runs.")
@click.option("--urgent", "priority", flag_value=Priority.HIGH, help="Goes first.")
@click.option("--low", "priority", flag_value=Priority.LOW, help="Runs when nothing else waits.")
@click.option("--continue", "continue_of", type=TASK_ID, metavar="TASK", help="Go on from it.")
@click.option("--fresh", is_flag=True, help="With --continue: in a new session, on any node.")
@click.option("--title", help="Shown in lists instead of the prompt's beginning.")
@click.option("--model", help="Model to use.")
@click.option("--max-cost", "max_cost_usd", type=Amount())
@click.option("--timeout-s", type=Amount())
@click.option("--key", help="Idempotency key: the same key never makes a second task.")
@click.option("--wait", is_flag=True, help="Follow its output and exit with its outcome.")
@json_option
@pass_session
def submit(
    session: Session,
    /,
    prompt: tuple[str, ...],
    wait: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Submit a task. A PROMPT of - is read from stdin.

    With --wait the output is shown as it comes, and the exit code is 0 only if the task
    succeeded. Ctrl-C then leaves the task running.

    \b
    Examples:
      mesh submit fix the flaky test in checkout --in shop@main
      git diff | mesh submit --wait --to code-reviewer -
      mesh submit --ask "delete the old branches" --on Rex
    """
    text = read_stdin() if prompt == ("-",) else " ".join(prompt)
    if not text.strip():
        raise click.UsageError("The prompt is empty.")
    key = options.pop("key") or session.new_id()
    if not (key.isascii() and key.isprintable()):
        raise click.UsageError("--key takes plain ASCII characters, such as a date or a number.")
    wanted = _wanted(text, **options)

    try:
        task = session.ask_hub(lambda hub: hub.submit(wanted, idempotency_key=key))
    except HubError as error:
        if error.hub_code == "unknown_name":
            raise click.UsageError(error.message[:1].upper() + error.message[1:]) from error
        raise
    if wait:
        return _follow(session, task, as_json=as_json)
    if as_json:
        print_json(task)
    else:
        click.echo(_accepted(task))
    return EXIT_OK


def _wanted(text: str, *, project: str | None, ask: bool, **options: Any) -> SubmitTask:
    name, _, branch = (project or "").partition("@")
    given = {key: value for key, value in options.items() if value not in (None, ())}
    given["requires"] = list(given.get("requires", ()))
    if ask:
        given["approval"] = True
    return SubmitTask(prompt=text, project=name or None, branch=branch or None, **given)


def _accepted(task: Task) -> str:
    ask = f" (mesh approve {task.approval_code})" if task.approval_code else ""
    word = word_of(task.state)
    why = f": {plain(task.wait_reason)}" if task.wait_reason and task.wait_reason != word else ""
    return f"#{task.id} {word}{why}{ask}"


@click.command()
@click.argument("task_id", metavar="TASK", type=TASK_ID)
@json_option
@pass_session
def watch(session: Session, task_id: int, as_json: bool) -> int:
    """Follow a task's output from its beginning to its end; exits with its outcome."""
    task = session.ask_hub(lambda hub: hub.task(task_id))
    return _follow(session, task, as_json=as_json)


def _follow(session: Session, task: Task, *, as_json: bool) -> int:
    """Show a task until it is finished. The result goes to stdout, all else to stderr."""
    try:
        found = asyncio.run(_shown_to_its_end(session, task, quiet=as_json))
    except KeyboardInterrupt:
        click.echo(f"\n#{task.id} goes on. mesh watch {task.id} shows it again.", err=True)
        raise
    if as_json:
        print_json(found)
    else:
        _print_verdict(found)
    return EXIT_OK if found.state is TaskState.SUCCEEDED else EXIT_FAILED


async def _shown_to_its_end(session: Session, task: Task, *, quiet: bool) -> TaskDetail:
    async with HubClient(session.credentials()) as client:
        hub = OperatorApi(client)
        news = asyncio.create_task(_print_news(hub, task, quiet=quiet), name="news")
        try:
            async for line in follow_output(client, task.id):
                if not quiet:
                    _print_output(line)
        finally:
            news.cancel()
            await asyncio.gather(news, return_exceptions=True)
        return await _finished(hub, task.id)


async def _finished(hub: OperatorApi, task_id: int) -> TaskDetail:
    """The finished task: its stream may end a moment before it, and a hub may restart just then."""
    while True:
        with suppress(HubUnreachableError):
            found = await hub.task(task_id)
            if found.state in TERMINAL_STATES:
                return found
        await asyncio.sleep(LOOK_EVERY_S / 5)


async def _print_news(hub: OperatorApi, task: Task, *, quiet: bool) -> None:
    """Say on stderr where the task stands whenever that changes."""
    said = ""
    while not quiet:
        try:
            now = _accepted(await hub.task(task.id))
        except (HubError, HubUnreachableError):
            now = said
        if now != said:
            click.echo(now, err=True)
            said = now
        await asyncio.sleep(LOOK_EVERY_S)


def _print_output(line: OutputLine) -> None:
    match line.kind:
        case OutputKind.TEXT:
            click.echo(plain(line.text), nl=False, err=True)
        case OutputKind.TOOL_START:
            click.echo(f"\n  {plain(line.tool or 'tool')}: {plain(line.text)}", err=True)
        case OutputKind.TOOL_END if line.is_error:
            click.echo(f"  failed: {plain(line.text)[:300]}", err=True)
        case OutputKind.STATUS:
            click.echo(f"  {plain(line.text)}", err=True)
        case _:
            pass


def _print_verdict(task: TaskDetail) -> None:
    took = ""
    if task.started_at and task.finished_at:
        took = f", {span(to_epoch(task.finished_at) - to_epoch(task.started_at))}"
    where = f", {task.node}" if task.node else ""
    spent = cost_words(task.cost_usd, task.unknown_cost_attempts, dollars)
    spent = f"cost {spent}" if task.cost_usd is None else spent
    verdict = f"#{task.id} {word_of(task.state)}{took}, {spent}{where}"
    click.echo(f"\n{verdict}", err=True)
    if task.state is not TaskState.SUCCEEDED and task.error:
        click.echo(plain(task.error), err=True)
    if task.result:
        click.echo(plain(task.result))


@click.command()
@click.argument("line", nargs=-1, required=True)
@json_option
@pass_session
def say(session: Session, line: tuple[str, ...], as_json: bool) -> None:
    """Say a LINE as if it were texted, and print the replies it caused.

    \b
    Examples:
      mesh say status
      mesh say y K7
      mesh say "@researcher compare the two libraries"
    """
    message = SendMessage(text=" ".join(line))
    found = session.ask_hub(lambda hub: hub.say(message, idempotency_key=session.new_id()))
    if as_json:
        print_json(found)
        return
    for bubble in found.messages:
        if bubble.direction == "out":
            click.echo(plain(bubble.text))
