"""`mesh demo`: a whole mesh with simulated Messages, on this machine, for a while."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

import click

from cli.demo.phone import Phone
from cli.demo.play import MODEL_REPLY_S, REPLY_S, play
from cli.demo.pointer import Running, find_running, pointing
from cli.demo.script import conversation
from cli.demo.show import keep_phone, open_screen, text_and_wait
from cli.demo.stage import Stage, staged
from cli.errors import SetUpError
from cli.session import Session, pass_session
from common.errors import EXIT_FAILED, EXIT_OK
from common.proc import stop_on_signals

NO_MODEL = "No model ran: every answer above was rehearsed. mesh demo --claude uses Claude Code."


@click.group(invoke_without_command=True)
@click.option("--headless", is_flag=True, help="Play a conversation, print it, end.")
@click.option("--serve", is_flag=True, help="Run the mesh without a screen until Ctrl-C.")
@click.option("--claude", is_flag=True, help="Run tasks with the Claude Code on the PATH.")
@click.pass_context
def demo(context: click.Context, headless: bool, serve: bool, claude: bool) -> None:
    """Try a whole mesh: a hub, the machines Archon, Rex and Crucible, and a simulated Messages.

    In a terminal it opens the control centre; text it from another terminal with
    `mesh demo text`. Without a terminal it does what --headless does. Nothing of it stays.

    \b
    Examples:
      mesh demo
      mesh demo text "what is new?"      in another terminal
      mesh demo phone                    the whole thread, to type into
      mesh demo --headless
    """
    if context.invoked_subcommand is not None:
        return
    session = context.find_object(Session) or Session()
    cli_path = _find_claude(session.env) if claude else None
    if serve:
        show = _serve
    elif headless or not all(end.isatty() for end in (sys.stdin, sys.stdout, sys.stderr)):
        show = _headless
    else:
        show = _screen
    context.exit(asyncio.run(_run(session.env, cli_path, show)))


Show = Callable[[Stage, Mapping[str, str], asyncio.Event], Awaitable[int]]


async def _run(env: Mapping[str, str], claude: str | None, show: Show) -> int:
    """Set the stage, show the demo until it or a signal ends it, and clear everything away."""
    signals = stop_on_signals(asyncio.get_running_loop())
    playing = asyncio.create_task(_on_stage(env, claude, show, signals.first), name="demo")
    stopping = asyncio.create_task(signals.first.wait(), name="signal")
    try:
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            await asyncio.wait({playing})
            return 128 + (signals.number or signal.SIGTERM)
        return playing.result()
    finally:
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)


async def _on_stage(
    env: Mapping[str, str], claude: str | None, show: Show, stop: asyncio.Event
) -> int:
    click.echo("Setting up a mesh: hub, Archon, Rex, Crucible, bridge, Messages …", err=True)
    async with staged(env, claude=claude) as stage:
        return await show(stage, env, stop)


async def _headless(stage: Stage, env: Mapping[str, str], stop: asyncio.Event) -> int:
    """Play and print the conversation; fails when a reply is missing."""
    rehearsed = stage.setting.claude is None
    started_at = time.monotonic()
    missing = await play(
        stage.phone,
        conversation(rehearsed=rehearsed),
        reply_s=REPLY_S if rehearsed else MODEL_REPLY_S,
        show=click.echo,
    )
    if missing:
        click.echo(f"mesh demo: {missing}.", err=True)
        for name in ("hubd", "imsgd", "agentd-Archon"):
            click.echo(stage.complaints(name), err=True)
        return EXIT_FAILED
    click.echo(f"\nEvery reply arrived, in {time.monotonic() - started_at:.1f} s.")
    if rehearsed:
        click.echo(NO_MODEL)
    return EXIT_OK


async def _serve(stage: Stage, env: Mapping[str, str], stop: asyncio.Event) -> int:
    with pointing(env, Running(stage.setting.home, stage.setting.messages_dir)):
        click.echo(f"MESH_HOME={stage.setting.home}")
        click.echo("Ctrl-C ends it. In another terminal: mesh demo phone", err=True)
        await stop.wait()
    return EXIT_OK


async def _screen(stage: Stage, env: Mapping[str, str], stop: asyncio.Event) -> int:
    with pointing(env, Running(stage.setting.home, stage.setting.messages_dir)):
        return await open_screen(stage, env)


def _find_claude(env: Mapping[str, str]) -> str:
    found = shutil.which("claude", path=env.get("PATH"))
    if found is None:
        raise SetUpError(
            "there is no claude on the PATH. Install Claude Code (npm install -g "
            "@anthropic-ai/claude-code), run it once to log in, or leave --claude away."
        )
    return found


@demo.command("text")
@click.argument("words", nargs=-1, required=True)
@pass_session
def text(session: Session, words: tuple[str, ...]) -> None:
    """Text the running demo as its iPhone would, and print what comes back.

    \b
    Examples:
      mesh demo text "what is new?"
      mesh demo text @code-reviewer look at the last commit
      mesh demo text status
    """
    phone = Phone(find_running(session.env).messages_dir, session.env)
    asyncio.run(text_and_wait(phone, " ".join(words)))


@demo.command("phone")
@pass_session
def phone(session: Session) -> None:
    """Show the running demo's thread as it grows; what you type is texted. Ctrl-D ends it."""
    asyncio.run(keep_phone(Phone(find_running(session.env).messages_dir, session.env)))
